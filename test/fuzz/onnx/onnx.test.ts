import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { hostileCase } from './cases.ts';
import { prepareFolder } from './folder.ts';
import { outcomeOf } from './outcome.ts';
import { seedModels } from './seeds.ts';
import { runCampaign } from './watch.ts';

/** `npm run fuzz:onnx` takes a hundred thousand. */
const FILES = 2000;
/** The same files every time; other ones are for `npm run fuzz:onnx`. */
const SEED = 20;

const work = await mkdtemp(join(tmpdir(), 'referee-hostile-'));
const folder = await prepareFolder(work);
afterAll(() => rm(work, { recursive: true }));

test('the models that hostile files are made of are read and, but for truth values, differentiated', async () => {
  const models = new Map(seedModels());
  expect(models.size).toBeGreaterThan(100);
  const short: string[] = [];
  for (const [name, bytes] of models) if ((await outcomeOf(bytes, folder)) !== 'differentiated') short.push(name);
  expect(short.sort()).toEqual(['Equal', 'Greater', 'Less', 'QuantizePair']);
});

test(`${FILES} hostile files of seed ${SEED}: each is differentiated, or refused in one line`, async () => {
  const counts: Record<string, number> = {};
  for (let index = 0; index < FILES; index += 1) {
    const { bytes, kind } = hostileCase(SEED, index);
    const outcome = await outcomeOf(bytes, folder).catch((cause: unknown) => {
      throw new Error(`case ${index} (${kind}): npm run fuzz:onnx -- --seed ${SEED} --first ${index} --files 1`, {
        cause,
      });
    });
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  // Damage that refuses everything, or nothing, would try nothing.
  for (const outcome of ['refused', 'listed', 'differentiated']) expect(counts[outcome]).toBeGreaterThan(FILES / 20);
});

test('cases are the same every time', () => {
  expect(hostileCase(7, 3)).toEqual(hostileCase(7, 3));
  expect(hostileCase(7, 3)).not.toEqual(hostileCase(7, 4));
});

test('the watch notices what a process cannot say: too long, too large', async () => {
  const campaign = { seed: 1, first: 0, end: 2, folder };
  const slow = await runCampaign({ ...campaign, limits: { seconds: 1e-3, megabytes: 5000 } });
  expect(slow.bugs.length).toBeGreaterThan(0);
  const large = await runCampaign({ ...campaign, limits: { seconds: 60, megabytes: 1 } });
  expect(large.bugs.map(({ index }) => index)).toEqual([0, 1]);
  expect(large.bugs[0]!.problem).toMatch(/^took \d+ MB, at most 1 are allowed$/);
});
