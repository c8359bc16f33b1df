import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import type { Benchmark } from '../../activities/benchmarks.ts';
import { benchmarkFile, expectedSeconds, readBenchmark, writeBenchmark } from '../../activities/benchmarks.ts';
import { resolveOptions, SHAPES_DEFAULTS } from '../../inversion/options.ts';
import { CONTRACT_VERSION } from '../../store/ids.ts';
import { temporaryFolder } from '../support/folder.ts';

const BENCHMARK: Benchmark = {
  v: 1,
  contract: CONTRACT_VERSION,
  date: '2026-03-04T05:06:07.000Z',
  machine: { processor: 'a processor', cores: 4, memoryBytes: 8e9, platform: 'linux x64' },
  versions: { referee: '0.1.0', node: '20.19.0', onnxruntime: '1.30.0' },
  pack: { name: 'shapes', version: '1', digest: 'ab'.repeat(32) },
  provider: 'cpu',
  threads: 2,
  deviceClass: 'cpu x64 a processor',
  plan: 'fused',
  cutouts: 3,
  startSeconds: 2,
  endSeconds: 0.5,
  steps: [
    { lanes: 1, search: 0.5, distil: 0.1 },
    { lanes: 8, search: 2.6, distil: 0.8 },
  ],
  peakBytes: 1e9,
};

test('what was measured is found again, in one file, for the same pack, provider, threads, machine and plan only', async () => {
  const cache = await temporaryFolder();
  expect(await readBenchmark(cache, BENCHMARK)).toBeUndefined();
  const file = await writeBenchmark(cache, BENCHMARK);
  expect(await readBenchmark(cache, BENCHMARK)).toEqual(BENCHMARK);
  expect(file).toBe(benchmarkFile(cache, BENCHMARK));
  await writeBenchmark(cache, { ...BENCHMARK, startSeconds: 3 });
  expect((await readBenchmark(cache, BENCHMARK))?.startSeconds).toBe(3);
  expect(readdirSync(join(cache, 'benchmarks'))).toHaveLength(1);
  for (const other of [
    { threads: 3 },
    { provider: 'webgpu' },
    { deviceClass: 'cpu x64 another processor' },
    { plan: 'split' as const },
    // Same name and first digits: another pack all the same.
    { pack: { ...BENCHMARK.pack, digest: 'ab'.repeat(31) + 'ac' } },
  ]) {
    expect(await readBenchmark(cache, { ...BENCHMARK, ...other })).toBeUndefined();
  }
});

test.each([
  ['cut off', '{"v": 1'],
  ['of another version of what a step computes', JSON.stringify({ ...BENCHMARK, contract: CONTRACT_VERSION - 1 })],
  ['with a negative time', JSON.stringify({ ...BENCHMARK, startSeconds: -1 })],
])('a file that is %s says nothing', async (_, text) => {
  const cache = await temporaryFolder();
  const file = await writeBenchmark(cache, BENCHMARK);
  writeFileSync(file, text);
  expect(await readBenchmark(cache, BENCHMARK)).toBeUndefined();
});

test('the time of a run follows from its steps with and without the referee, its lanes and its cutouts', () => {
  const search = resolveOptions(SHAPES_DEFAULTS, { steps: 10, refereeStart: 2, refereeEnd: 8, cutouts: 3 });
  const one = (options: typeof search, done = 0) =>
    expectedSeconds(BENCHMARK, { lanes: 1, items: [{ options, done }] }) - 2 - 0.5;
  // Six steps of 0.5 s and four of 0.1 s.
  expect(one(search)).toBeCloseTo(3.4, 9);
  expect(one(search, 5)).toBeCloseTo(3 * 0.5 + 2 * 0.1, 9);
  // Twice the cutouts: what the referee adds, twice.
  expect(one({ ...search, cutouts: 6 })).toBeCloseTo(3.4 + 6 * 0.4, 9);
  expect(one({ ...search, method: 'distil' })).toBeCloseTo(1, 9);
  expect(one({ ...search, method: 'best-of', candidates: 3, sampleSteps: 20 })).toBeCloseTo(6, 9);
  // Eight lanes: a call of 2.6 s for eight searches; 4.5 lanes would be in the middle, 15 as far again.
  const items = Array.from({ length: 16 }, () => ({ options: search, done: 0 }));
  expect(expectedSeconds(BENCHMARK, { lanes: 8, items })).toBeCloseTo(2 + 2 * (6 * 2.6 + 4 * 0.8) + 16 * 0.5, 9);
  const four = expectedSeconds(BENCHMARK, { lanes: 4, items: items.slice(0, 4) });
  expect(four).toBeCloseTo(2 + 6 * (0.5 + 0.9) + 4 * (0.1 + 0.3) + 4 * 0.5, 9);
});
