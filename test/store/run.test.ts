import { rm, writeFile } from 'node:fs/promises';

import { expect, test } from 'vitest';

import { float32 } from '../../models/onnx/dtype.ts';
import { writeCheckpoint } from '../../store/checkpoint.ts';
import { FileStore } from '../../store/file-store.ts';
import { sha256 } from '../../store/ids.ts';
import { asItemId, asRunId, itemKey, manifestKey, promptsKey, runKey } from '../../store/layout.ts';
import * as runs from '../../store/run.ts';
import type { NewRun } from '../../store/run.ts';
import { temporaryFolder } from '../support/folder.ts';
import { safetensorsCodec } from './checkpoint-codec.ts';
import { exampleResult } from './result-example.ts';

const run = asRunId('r1');
const [first, second] = [asItemId('i1'), asItemId('i2')];

function newRun(items: number, packDigest = 'd1'): NewRun {
  const record = {
    v: 1,
    run,
    items,
    pack: { name: 'shapes', version: '1', digest: packDigest },
    versions: { referee: '0.1.0' },
  } as const;
  const prompts = Array.from({ length: items }, (_, index) => ({
    index,
    item: `i${index}`,
    prompt: `p${index}\u2028`,
    seed: index,
    id: '../x',
  }));
  return { run, record, prompts };
}

const openStore = async (): Promise<FileStore> => new FileStore(await temporaryFolder());

test('a run is written once; its prompts come back in order over page borders', async () => {
  const store = await openStore();
  const asked = newRun(2001);
  expect(await runs.createRun(store, asked)).toBe('written');
  expect(await runs.createRun(store, asked)).toBe('exists');
  expect(await store.list('r1/prompts/')).toEqual([0, 1, 2].map((part) => promptsKey(run, part)));
  const rows = [];
  for await (const row of runs.readPrompts(store, run)) rows.push(row);
  expect(rows).toEqual(asked.prompts);
  expect(await runs.readRun(store, run)).toEqual(asked.record);
});

test('a run that is there with another pack is refused and stays as it was', async () => {
  const store = await openStore();
  await runs.createRun(store, newRun(2));
  await expect(runs.createRun(store, newRun(2, 'd2'))).rejects.toMatchObject({
    code: 'InvalidStore',
    message: `${store.locate(runKey(run))}: is of another pack or other items: pack found d1, expected d2`,
  });
  expect((await runs.readRun(store, run))?.pack.digest).toBe('d1');
});

test('a run.json that people have edited is one line', async () => {
  const store = await openStore();
  await runs.createRun(store, newRun(1));
  await writeFile(store.locate(runKey(run)), '{"v":1,');
  await expect(runs.readRun(store, run)).rejects.toMatchObject({
    code: 'InvalidStore',
    message: expect.stringContaining('not JSON') as string,
  });
});

test('a run that is not there is undefined', async () => {
  expect(await runs.readRun(await openStore(), run)).toBeUndefined();
});

test('an item is missing, then started, then succeeded; without its image, or with another one, it is not', async () => {
  const store = await openStore();
  const state = () => runs.itemState(store, run, first);
  expect(await state()).toBe('missing');
  const checkpoint = {
    step: 8,
    specDigest: 's',
    packDigest: 'p',
    deviceClass: 'cpu',
    tensors: { latent: float32([1]) },
  };
  await writeCheckpoint(store, safetensorsCodec, { run, item: first, checkpoint });
  expect(await state()).toBe('started');
  const image = Uint8Array.of(1, 2, 3);
  const result = exampleResult({ digests: { spec: sha256('spec'), image: sha256(image) } });
  await runs.publish(store, { run, item: first, result }, image);
  expect(await state()).toBe('succeeded');
  const path = store.locate(itemKey(run, first, 'image.png'));
  await writeFile(path, 'edited');
  expect(await state()).toBe('started');
  await rm(path);
  expect(await state()).toBe('started');
});

test('the states of many items come in their order', async () => {
  const store = await openStore();
  const items = Array.from({ length: 70 }, (_, i) => asItemId(`i${i}`));
  await runs.publish(store, { run, item: items[40]!, result: exampleResult({ state: 'failed' }) });
  const states = await runs.itemStates(store, run, items);
  expect(states.map((state, i) => [i, state]).filter(([, state]) => state !== 'missing')).toEqual([[40, 'failed']]);
  expect(states).toHaveLength(70);
});

test('a failed item is failed, and its result says why', async () => {
  const store = await openStore();
  const error = { code: 'NonFinite', message: 'step 3: the gradient is not finite' };
  await runs.publish(store, { run, item: first, result: exampleResult({ state: 'failed', error }) });
  expect(await runs.itemState(store, run, first)).toBe('failed');
  expect((await runs.readResult(store, run, first))?.error).toEqual(error);
});

test('the manifest is in the order of the input, whatever the order of completion, and leaves out what is not done', async () => {
  const store = await openStore();
  for (const [item, index] of [
    [second, 1],
    [first, 0],
  ] as const) {
    await runs.publish(store, { run, item, result: exampleResult({ item, index }) });
  }
  await runs.writeManifest(store, run, [first, second, asItemId('i3')]);
  const text = Buffer.from((await store.get(manifestKey(run)))!).toString();
  expect(
    text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { item: string }).item),
  ).toEqual(['i1', 'i2']);
});

test('a trace reads back row by row', async () => {
  const store = await openStore();
  expect(await runs.readTrace(store, run, first)).toEqual([]);
  const rows = [
    { step: 1, losses: { itm: 0.5 } },
    { step: 2, losses: { itm: 0.25 } },
  ];
  await runs.writeTrace(store, { run, item: first }, rows);
  expect(await runs.readTrace(store, run, first)).toEqual(rows);
});
