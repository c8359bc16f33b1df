/**
 * @file Our reader and our gradients against the conformance suite of ONNX's own backends, in the versions of a decade of
 * exporters: what is read, what comes out of a graph that went through reader, passes and writer, what its gradient is.
 *
 * Usage: npm run check:suite -- [--cache folder] [--only text] [--version 1.17.0] [--seconds 180] [--processes 2] [--json file]
 *
 * Prints a table in Markdown, then every case that onnxruntime runs as recorded and we refuse or get wrong. Exit code 1:
 * numbers that differ, or an error that is no refusal.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';

import { CaseProcess } from './suite/case-pool.ts';
import type { Outcome } from './suite/outcome.ts';
import { reportOf } from './suite/report.ts';
import type { JudgedCase } from './suite/report.ts';
import { WHEELS, casesOf } from './suite/wheels.ts';

const { values: flags } = parseArgs({
  options: {
    cache: { type: 'string', default: join(homedir(), '.cache', 'referee', 'suite') },
    only: { type: 'string', default: '' },
    version: { type: 'string' },
    seconds: { type: 'string', default: '180' },
    processes: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
});

/** Of everything below a folder: most cases are the same, byte for byte, in many versions. */
async function digestOf(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    if (/\.(onnx|pb)$/.test(name)) hash.update(name).update(await readFile(join(folder, name)));
  }
  return hash.digest('hex');
}

const judged: JudgedCase[] = [];
const known = new Map<string, Promise<Outcome>>();
const processes = Array.from({ length: Number(flags.processes) }, () => new CaseProcess(Number(flags.seconds)));
try {
  for (const wheel of WHEELS.filter(({ version }) => flags.version === undefined || version === flags.version)) {
    const folders = (await casesOf(wheel, flags.cache)).filter((folder) => folder.includes(flags.only));
    const rest = [...folders.entries()];
    const outcomes: Outcome[] = [];
    await Promise.all(
      processes.map(async (process) => {
        for (let next = rest.shift(); next; next = rest.shift()) {
          const [at, folder] = next;
          const digest = await digestOf(folder);
          const outcome = known.get(digest) ?? process.judge(folder);
          known.set(digest, outcome);
          outcomes[at] = await outcome;
        }
      }),
    );
    folders.forEach((folder, at) => {
      judged.push({
        version: wheel.version,
        name: relative(join(flags.cache, wheel.version), folder),
        outcome: outcomes[at]!,
      });
    });
    process.stderr.write(`onnx ${wheel.version}: ${folders.length} cases\n`);
  }
} finally {
  for (const process of processes) process.close();
}
if (flags.json !== undefined) await writeFile(flags.json, JSON.stringify(judged, null, 1));
const { text, isWrong } = reportOf(judged);
process.stdout.write(text);
if (isWrong) process.exitCode = 1;
