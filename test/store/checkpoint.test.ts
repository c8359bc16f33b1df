import { readFile, truncate, writeFile } from 'node:fs/promises';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { float32 } from '../../models/onnx/dtype.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { encodeCheckpoint, newestValid, pruneCheckpoints, writeCheckpoint } from '../../store/checkpoint.ts';
import type { Checkpoint } from '../../store/checkpoint.ts';
import { FileStore } from '../../store/file-store.ts';
import { sha256 } from '../../store/ids.ts';
import { asItemId, asRunId, checkpointKey, checkpointsFolder } from '../../store/layout.ts';
import { temporaryFolder } from '../support/folder.ts';
import { safetensorsCodec } from './checkpoint-codec.ts';

const run = asRunId('r1');
const item = asItemId('i1');
const owner = { specDigest: sha256('spec'), packDigest: sha256('pack') };

function checkpointAt(step: number): Checkpoint<Tensor> {
  const latent = float32([step, -0, 1e-45, Number.MAX_VALUE], [1, 2, 2]);
  return { step, ...owner, deviceClass: 'cpu-x64', tensors: { latent, average: float32([1, 2, 3]) } };
}

async function storeWith(...steps: number[]): Promise<FileStore> {
  const store = new FileStore(await temporaryFolder());
  for (const step of steps)
    await writeCheckpoint(store, safetensorsCodec, { run, item, checkpoint: checkpointAt(step) });
  return store;
}

const newest = (store: FileStore, of = owner) => newestValid(store, safetensorsCodec, { run, item, owner: of });
const pathOf = (store: FileStore, step: number): string => store.locate(checkpointKey(run, item, step));

describe('the newest checkpoint', () => {
  test('comes back bit for bit', async () => {
    const store = await storeWith(8, 16, 128);
    expect(await newest(store)).toEqual({ checkpoint: checkpointAt(128), skipped: [] });
  });

  test('of an item that has none is none', async () => {
    expect(await newest(await storeWith())).toEqual({ skipped: [] });
  });

  test('same state, same bytes', async () => {
    const [a, b] = [await storeWith(8), await storeWith(8)];
    expect(await readFile(pathOf(a, 8))).toEqual(await readFile(pathOf(b, 8)));
  });

  test('cut off at any byte is passed over, and said so', async () => {
    const store = await storeWith(8);
    const whole = encodeCheckpoint(safetensorsCodec, checkpointAt(16));
    for (let length = 0; length < whole.length; length += 7) {
      await writeFile(pathOf(store, 16), whole.subarray(0, length));
      const found = await newest(store);
      expect(found.checkpoint?.step).toBe(8);
      expect(found.skipped.map(({ path }) => path)).toEqual([pathOf(store, 16)]);
    }
  });

  test('with any bit of its tensors turned is passed over', async () => {
    const store = await storeWith(8);
    const whole = encodeCheckpoint(safetensorsCodec, checkpointAt(16));
    const dataStart = 8 + Number(new DataView(whole.buffer).getBigUint64(0, true));
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: dataStart, max: whole.length - 1 }),
        fc.integer({ min: 0, max: 7 }),
        async (at, bit) => {
          const damaged = Uint8Array.from(whole, (byte, i) => (i === at ? byte ^ (1 << bit) : byte));
          await writeFile(pathOf(store, 16), damaged);
          const found = await newest(store);
          expect(found.checkpoint?.step).toBe(8);
          expect(found.skipped[0]?.reason).toContain('digest');
        },
      ),
      { numRuns: 40 },
    );
  });

  test('all damaged: none is left, each is named', async () => {
    const store = await storeWith(8, 16);
    await truncate(pathOf(store, 8), 0);
    await truncate(pathOf(store, 16), 100);
    const found = await newest(store);
    expect(found.checkpoint).toBeUndefined();
    expect(found.skipped.map(({ path }) => path)).toEqual([pathOf(store, 16), pathOf(store, 8)]);
  });

  test('under the name of another step is passed over', async () => {
    const store = await storeWith(8);
    await writeFile(pathOf(store, 16), await readFile(pathOf(store, 8)));
    expect(await newest(store)).toMatchObject({ checkpoint: { step: 8 }, skipped: [{ reason: 'holds step 8' }] });
  });
});

describe('refused with one line that names file, found and expected:', () => {
  test.each([
    ['specDigest', 'another prompt, seed or settings'],
    ['packDigest', 'another pack'],
  ] as const)('a checkpoint of another %s', async (field, text) => {
    const store = await storeWith(8);
    const other = sha256('other');
    const error = await newest(store, { ...owner, [field]: other }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'InvalidCheckpoint', details: { file: pathOf(store, 8), field } });
    const { message } = error as Error;
    expect(message).toContain(pathOf(store, 8));
    expect(message).toContain(text);
    expect(message).toContain(`found ${owner[field].slice(0, 12)}, expected ${other.slice(0, 12)}`);
    expect(message).not.toContain('\n');
  });

  test('a checkpoint of another version of the format', async () => {
    const store = await storeWith(8);
    await writeFile(pathOf(store, 16), safetensorsCodec.encode({}, { format: '2' }));
    await expect(newest(store)).rejects.toMatchObject({
      code: 'InvalidCheckpoint',
      message: `${pathOf(store, 16)}: format "2", expected "1"`,
    });
  });
});

test('a file that is no checkpoint at all is passed over', async () => {
  const store = await storeWith(8);
  await writeFile(pathOf(store, 16), safetensorsCodec.encode({ x: float32([1]) }, {}));
  await writeFile(pathOf(store, 24), 'PK\u0003\u0004 not a safetensors file');
  const found = await newest(store);
  expect(found.checkpoint?.step).toBe(8);
  expect(found.skipped).toHaveLength(2);
});

test('pruning keeps the newest', async () => {
  const store = await storeWith(8, 16, 24, 32);
  await pruneCheckpoints(store, { run, item }, 2);
  expect(await store.list(checkpointsFolder(run, item))).toEqual([
    checkpointKey(run, item, 24),
    checkpointKey(run, item, 32),
  ]);
});
