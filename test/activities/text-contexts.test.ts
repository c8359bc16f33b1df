import { expect, test } from 'vitest';

import { TextContexts } from '../../activities/text-contexts.ts';
import type { TextEncoder } from '../../activities/text-contexts.ts';
import { float32 } from '../../models/onnx/dtype.ts';
import type { Session } from '../../models/runtime/device.ts';

/** An encoder whose context is the ids as real numbers; it counts what is asked of it. */
class Encoders {
  readonly stays: boolean;
  loads = 0;
  runs = 0;
  open = 0;
  failures = 0;

  constructor(stays: boolean) {
    this.stays = stays;
  }

  readonly load = async (): Promise<TextEncoder> => {
    this.loads += 1;
    await Promise.resolve();
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('no memory');
    }
    this.open += 1;
    let isOpen = true;
    const session: Session = {
      inputNames: ['input_ids'],
      outputNames: ['context'],
      run: async ({ input_ids }) => {
        await Promise.resolve();
        if (!isOpen) throw new Error('released before this run');
        this.runs += 1;
        const ids = [...(input_ids!.data as BigInt64Array)].map(Number);
        return { context: float32(ids, [1, ids.length, 1]) };
      },
      release: async () => {
        await Promise.resolve();
        if (isOpen) this.open -= 1;
        isOpen = false;
      },
    };
    return { session, stays: this.stays };
  };
}

test('texts that are asked for at once share a session, which is given back behind the last', async () => {
  const encoders = new Encoders(false);
  const contexts = new TextContexts(encoders.load);
  const found = await Promise.all([contexts.of([1, 2]), contexts.of([3, 4]), contexts.of([1, 2])]);
  expect(found.map((context) => [...context])).toEqual([
    [1, 2],
    [3, 4],
    [1, 2],
  ]);
  expect(encoders).toMatchObject({ loads: 1, runs: 2, open: 0 });
  await contexts.of([3, 4]);
  expect(encoders).toMatchObject({ loads: 1, runs: 2 });
  await contexts.of([5]);
  expect(encoders).toMatchObject({ loads: 2, runs: 3, open: 0 });
});

test('a session that stays is loaded once', async () => {
  const encoders = new Encoders(true);
  const contexts = new TextContexts(encoders.load);
  for (const id of [1, 2, 3]) await contexts.of([id]);
  expect(encoders).toMatchObject({ loads: 1, runs: 3, open: 1 });
});

test.each([true, false])('a load that failed is tried again by the next, stays: %s', async (stays) => {
  const encoders = new Encoders(stays);
  encoders.failures = 1;
  const contexts = new TextContexts(encoders.load);
  const both = await Promise.allSettled([contexts.of([1]), contexts.of([2])]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect([...(await contexts.of([1]))]).toEqual([1]);
  expect(encoders).toMatchObject({ loads: 2, runs: 1, open: stays ? 1 : 0 });
});

test('a new text while a session is given back gets a session of its own', async () => {
  const encoders = new Encoders(false);
  const contexts = new TextContexts(encoders.load);
  for (let id = 0; id < 20; id += 1) {
    const first = contexts.of([id]);
    // Falls on every moment between the run and the release.
    for (let turn = 0; turn < id; turn += 1) await Promise.resolve();
    expect([...(await contexts.of([100 + id]))]).toEqual([100 + id]);
    await first;
  }
  expect(encoders).toMatchObject({ runs: 40, open: 0 });
});

test('of many texts those asked for last are remembered', async () => {
  const encoders = new Encoders(true);
  const contexts = new TextContexts(encoders.load);
  for (let id = 0; id < 200; id += 1) {
    await contexts.of([]);
    await contexts.of([id]);
  }
  expect(encoders.runs).toBe(201);
  await contexts.of([199]);
  expect(encoders.runs).toBe(201);
  await contexts.of([0]);
  expect(encoders.runs).toBe(202);
});
