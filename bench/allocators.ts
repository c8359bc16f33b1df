/**
 * @file What onnxruntime's arena, its memory pattern and the C library's allocator do to time and memory of a step: each
 * setting in a process of its own that has both sessions open, as a search has.
 *
 * Usage: tsx bench/allocators.ts [--pack mid] [--lanes 1] [--repeats 3] [--only <part of a setting's name>]
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { z } from 'zod';

import { sessionOptions } from '../models/runtime/session-settings.ts';
import { decodeSafetensors, writeSafetensors } from '../models/weights/safetensors.ts';
import { machine, median } from './machine.ts';
import { openBenchPack } from './support/bench-pack.ts';
import { usageOf } from './support/processes.ts';
import { CALLS, recordStep, stepCalls } from './support/step-calls.ts';
import { megabytes } from './support/step-table.ts';

const { values: flags } = parseArgs({
  options: {
    pack: { type: 'string', default: 'mid' },
    lanes: { type: 'string', default: '1' },
    repeats: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    /** Of the processes that this one starts: a setting's name, and the folder with the feeds. */
    setting: { type: 'string' },
    folder: { type: 'string' },
  },
});

interface Setting {
  readonly arena: boolean;
  readonly pattern: boolean;
  readonly config?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Large blocks stay with the process instead of going back to the system with every free. */
const KEEPING = {
  MALLOC_MMAP_THRESHOLD_: '4294967296',
  MALLOC_TRIM_THRESHOLD_: '17179869184',
  MALLOC_TOP_PAD_: '67108864',
};
const SETTINGS: Readonly<Record<string, Setting>> = {
  'arena, pattern': { arena: true, pattern: true },
  'arena, no pattern': { arena: true, pattern: false },
  'no arena, no pattern': { arena: false, pattern: false },
  'arena, no pattern, weights as they lie': { arena: true, pattern: false, config: { disable_prepacking: '1' } },
  'no arena, no pattern, malloc keeps': { arena: false, pattern: false, env: KEEPING },
};
const resultSchema = z.strictObject({
  guidance: z.number(),
  alignment: z.number(),
  loaded: z.number(),
  peak: z.number(),
});

if (flags.setting === undefined) await compare();
else await measure(SETTINGS[flags.setting]!, flags.folder!);

async function compare(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'referee-bench-'));
  try {
    const pack = await openBenchPack(flags.pack);
    const { feeds } = await recordStep(pack, { lanes: Number(flags.lanes) });
    for (const call of CALLS) await writeFile(join(folder, call), writeSafetensors(feeds[call]));
    process.stdout.write(
      `${machine()}; pack ${pack.manifest.name}, lanes ${flags.lanes}, one thread, medians of ${flags.repeats} calls\n\n` +
        '| setting | guidance | alignment | memory with both loaded | peak |\n| --- | --- | --- | --- | --- |\n',
    );
    for (const [name, { env = {} }] of Object.entries(SETTINGS).filter(([name]) => name.includes(flags.only))) {
      const script = [...process.execArgv, fileURLToPath(import.meta.url), '--setting', name, '--folder', folder];
      const given = ['--pack', flags.pack, '--lanes', flags.lanes, '--repeats', flags.repeats];
      const { stdout } = await promisify(execFile)(process.execPath, [...script, ...given], {
        env: { ...process.env, ...env },
      });
      const { guidance, alignment, loaded, peak } = resultSchema.parse(JSON.parse(stdout));
      const ms = (seconds: number): string => `${(1000 * seconds).toFixed(seconds < 0.1 ? 2 : 0)} ms`;
      process.stdout.write(
        `| ${name} | ${ms(guidance)} | ${ms(alignment)} | ${megabytes(loaded)} | ${megabytes(peak)} |\n`,
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure({ arena, pattern, config = {} }: Setting, folder: string): Promise<void> {
  const calls = await stepCalls(await openBenchPack(flags.pack));
  const base = sessionOptions({ provider: 'cpu', threads: 1, memory: 'fast', weightsRoot: '/' });
  const extra = base.extra as { session: Record<string, unknown> };
  const options = {
    ...base,
    enableCpuMemArena: arena,
    enableMemPattern: pattern,
    extra: { ...extra, session: { ...extra.session, ...config } },
  };
  const sessions = {
    guidance: await InferenceSession.create(calls.guidance.model, options),
    alignment: await InferenceSession.create(calls.alignment.model, options),
  };
  const loaded = (await usageOf(process.pid))!.bytes;
  const times: Record<(typeof CALLS)[number], number[]> = { guidance: [], alignment: [] };
  const feeds = { guidance: await read('guidance'), alignment: await read('alignment') };
  for (let turn = -2; turn < Number(flags.repeats); turn += 1) {
    for (const call of CALLS) {
      const begun = performance.now();
      await sessions[call].run(feeds[call]);
      if (turn >= 0) times[call].push((performance.now() - begun) / 1000);
    }
  }
  const { peakBytes: peak } = (await usageOf(process.pid))!;
  process.stdout.write(
    JSON.stringify({ guidance: median(times.guidance), alignment: median(times.alignment), loaded, peak }),
  );

  async function read(call: (typeof CALLS)[number]): Promise<Record<string, OrtTensor>> {
    const file = join(folder, call);
    const entries = Object.entries(decodeSafetensors(await readFile(file), file).tensors);
    const tensors = entries.map(
      ([name, { dtype, data, shape }]) =>
        [name, new OrtTensor(dtype as 'float32', data as Float32Array, shape)] as const,
    );
    return Object.fromEntries(tensors);
  }
}
