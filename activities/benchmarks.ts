/**
 * @file What `referee doctor --benchmark` has measured on this machine, in small files of the user's cache folder, and the
 * time that a run is expected to take from it. A file that does not fit pack, provider, threads and machine says nothing.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { z } from 'zod';

import type { MethodOptions } from '../inversion/options.ts';
import { totalSteps } from '../inversion/state.ts';
import { CONTRACT_VERSION } from '../store/ids.ts';

const seconds = z.number().positive();

export const BenchmarkSchema = z.strictObject({
  v: z.literal(1),
  /** What a step computes: see `store/ids.ts`. */
  contract: z.literal(CONTRACT_VERSION),
  date: z.iso.datetime(),
  machine: z.strictObject({
    processor: z.string(),
    cores: z.int().min(1),
    memoryBytes: z.int().min(1),
    platform: z.string(),
  }),
  versions: z.strictObject({ referee: z.string(), node: z.string(), onnxruntime: z.string() }),
  pack: z.strictObject({ name: z.string(), version: z.string(), digest: z.string() }),
  provider: z.string(),
  threads: z.int().min(1),
  /** Provider and processor. */
  deviceClass: z.string(),
  plan: z.enum(['fused', 'split']),
  /** Of a step with the referee. */
  cutouts: z.int().min(1),
  /** Opening pack and devices, building and loading graphs, the first step. */
  startSeconds: seconds,
  /** Decoding and scoring one picture. */
  endSeconds: seconds,
  /** For one lane and for several: seconds of a step of all lanes together. */
  steps: z.array(z.strictObject({ lanes: z.int().min(1), search: seconds, distil: seconds })).min(1),
  /** Largest resident memory of the process. */
  peakBytes: z.int().min(1),
});

export type Benchmark = z.infer<typeof BenchmarkSchema>;

/** What a benchmark must have been measured with. */
export type BenchmarkKey = Pick<Benchmark, 'provider' | 'threads' | 'deviceClass' | 'plan'> & {
  readonly pack: { readonly name: string; readonly digest: string };
};

export function benchmarkFile(
  cache: string,
  { pack, provider, threads }: Omit<BenchmarkKey, 'deviceClass' | 'plan'>,
): string {
  return join(cache, 'benchmarks', `${pack.name}-${pack.digest.slice(0, 8)}-${provider}-${threads}.json`);
}

/** Whole or not at all. Returns the file. */
export async function writeBenchmark(cache: string, benchmark: Benchmark): Promise<string> {
  const file = benchmarkFile(cache, benchmark);
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  await mkdir(dirname(file), { recursive: true });
  try {
    await writeFile(temporary, `${JSON.stringify(BenchmarkSchema.parse(benchmark), undefined, 2)}\n`);
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  return file;
}

/** Undefined where none fits: never measured, another machine, another version of what a step computes, not readable. */
export async function readBenchmark(cache: string, key: BenchmarkKey): Promise<Benchmark | undefined> {
  let benchmark: Benchmark;
  try {
    benchmark = BenchmarkSchema.parse(JSON.parse(await readFile(benchmarkFile(cache, key), 'utf8')));
  } catch {
    return undefined; // a cache: measuring again makes it anew
  }
  const { pack, provider, threads, deviceClass, plan } = benchmark;
  const isSame = provider === key.provider && threads === key.threads && deviceClass === key.deviceClass;
  return isSame && plan === key.plan && pack.digest === key.pack.digest ? benchmark : undefined;
}

interface Work {
  readonly lanes: number;
  readonly items: readonly { readonly options: MethodOptions; /** Steps that are done. */ readonly done: number }[];
}

/** Seconds that searches are expected to take, `lanes` at a time. */
export function expectedSeconds(benchmark: Benchmark, { lanes, items }: Work): number {
  const step = stepSeconds(benchmark, lanes);
  const share = items.reduce((sum, { options, done }) => {
    const withReferee = refereeSteps(options, done);
    const without = totalSteps(options) - done - withReferee;
    // Of the referee's part, most is done for each cutout.
    const referee = ((step.search - step.distil) * options.cutouts) / benchmark.cutouts;
    return sum + withReferee * (step.distil + Math.max(0, referee)) + without * step.distil;
  }, 0);
  return benchmark.startSeconds + share / lanes + items.length * benchmark.endSeconds;
}

function refereeSteps(options: MethodOptions, done: number): number {
  if (options.method !== 'search') return 0;
  const end = Math.min(options.refereeEnd, options.steps);
  return Math.max(0, end - Math.max(options.refereeStart, done));
}

/** Of a step of `lanes` lanes: on the straight line through what was measured. */
function stepSeconds({ steps }: Benchmark, lanes: number): { search: number; distil: number } {
  const sorted = [...steps].sort((a, b) => a.lanes - b.lanes);
  const [first, last] = [sorted[0]!, sorted.at(-1)!];
  const along = first.lanes === last.lanes ? 0 : (lanes - first.lanes) / (last.lanes - first.lanes);
  const between = (a: number, b: number): number => Math.max(Math.min(a, b), a + along * (b - a));
  return { search: between(first.search, last.search), distil: between(first.distil, last.distil) };
}
