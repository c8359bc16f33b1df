/**
 * @file Hostile ONNX files: valid models with damaged bytes or fields, and structures that grow in the reader. Each is read
 * and differentiated, or refused in one line, within seconds and 500 MB. A case that is not is saved, and named.
 *
 * Usage: npm run fuzz:onnx -- [--files 100000] [--seed n] [--first 0] [--save folder]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { hostileCase } from '../test/fuzz/onnx/cases.ts';
import { prepareFolder } from '../test/fuzz/onnx/folder.ts';
import type { Bug } from '../test/fuzz/onnx/watch.ts';
import { runCampaign } from '../test/fuzz/onnx/watch.ts';

const { values: flags } = parseArgs({
  options: {
    files: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    first: { type: 'string', default: '0' },
    save: { type: 'string', default: join(tmpdir(), 'referee-fuzz-onnx') },
  },
});
const [files, seed, first] = [flags.files, flags.seed, flags.first].map(Number) as [number, number, number];
if (![files, seed, first].every((value) => Number.isSafeInteger(value) && value >= 0)) {
  process.stderr.write('error: --files, --seed and --first: expected whole numbers\n');
  process.exit(2);
}

/** Kept for whoever looks into it. */
function save({ index, problem }: Bug): void {
  const { bytes, kind } = hostileCase(seed, index);
  const file = join(flags.save, `${seed}-${index}.onnx`);
  mkdirSync(flags.save, { recursive: true });
  writeFileSync(file, bytes);
  const again = `--seed ${seed} --first ${index} --files 1`;
  process.stdout.write(`case ${index} (${kind}): ${problem}\n  saved as ${file}; again: ${again}\n`);
}

// Listing and differentiating 20 000 nodes with an output each takes eight seconds.
const limits = { seconds: 10, megabytes: 500 };
const work = await mkdtemp(join(tmpdir(), 'referee-hostile-'));
const begun = performance.now();
const { outcomes, bugs, slowest, largest } = await runCampaign({
  seed,
  first,
  end: first + files,
  folder: await prepareFolder(work),
  limits,
  onBug: save,
  onCase: (index) => {
    if ((index + 1 - first) % 5000 === 0) process.stderr.write(`${index + 1 - first} of ${files} files\n`);
  },
});
await rm(work, { recursive: true });

const counts = Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`);
const seconds = Math.round((performance.now() - begun) / 1000);
process.stdout.write(
  `${files} files in ${seconds} s, seed ${seed}: ${counts.join(', ')}; ` +
    `slowest ${slowest.seconds.toFixed(2)} s of the processor (case ${slowest.index}), ` +
    `largest ${Math.round(largest.megabytes)} MB (case ${largest.index}); ${bugs.length} bugs\n`,
);
if (bugs.length > 0) process.exitCode = 1;
