import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { OptimiseEvent } from '../../activities/optimiser.ts';
import { openStore } from '../../store/open-store.ts';
import { readResult } from '../../store/run.ts';
import { temporaryFolder } from '../support/folder.ts';
import {
  attempt,
  checkpointsOf,
  openBench,
  prepare,
  prepareUnchecked,
  snapshot,
  workerOf,
} from './support/attempts.ts';
import type { Bench, Flags, PreparedRun } from './support/attempts.ts';

/** Long enough that no attempt here ends by itself; a step takes some milliseconds. */
const LONG = { method: 'distil', steps: 5000 };

let bench: Bench;

beforeAll(async () => {
  bench = await openBench();
});

afterAll(() => bench[Symbol.asyncDispose]());

const prepared = async (overrides: Readonly<Record<string, unknown>> = LONG): Promise<PreparedRun> =>
  prepare(bench, await temporaryFolder(), ['a red circle'], overrides);

/** Aborts after some steps. */
const after =
  (steps: number, flags: Flags) =>
  (event: OptimiseEvent): Flags | undefined =>
    event.type === 'step' && event.step === steps ? flags : undefined;

describe('why an attempt is told to stop, and what follows', () => {
  test('the worker goes away: saved, and a short chunk', async () => {
    const run = await prepared();
    const { end } = await attempt(bench, run, { onEvent: after(3, { workerShutdown: true }) });
    const { step, ended } = await end;
    expect([step, ended]).toEqual([expect.any(Number), 'drain']);
    expect(step).toBeGreaterThanOrEqual(3);
    expect(checkpointsOf(run)).toEqual([step]);
    const next = await attempt(bench, run, { onEvent: after(step + 2, { workerShutdown: true }) });
    expect(next.events.find(({ type }) => type === 'start')).toMatchObject({ step });
  });

  test.each([
    ['the run is cancelled, or paused now', { cancelRequested: true }],
    ['an operator pauses the activity', { paused: true }],
    ['an operator resets the activity', { reset: true }],
    ['nobody says why', {}],
    ['cancelled while the worker goes away', { cancelRequested: true, workerShutdown: true }],
  ])('%s: saved, and reported as cancelled', async (_, flags) => {
    const run = await prepared();
    const { end, events } = await attempt(bench, run, { onEvent: after(3, flags) });
    await expect(end).rejects.toBeInstanceOf(CancelledFailure);
    const steps = events.filter(({ type }) => type === 'step').length;
    expect(checkpointsOf(run)).toEqual([steps]);
  });

  test.each([
    ['the server has forgotten the attempt', { notFound: true }],
    ['the attempt has timed out', { timedOut: true }],
    ['forgotten while the worker goes away', { notFound: true, workerShutdown: true }],
  ])('%s: nothing is written and nothing deleted', async (_, flags) => {
    const run = await prepared();
    const first = await attempt(bench, run, { checkpointEvery: 2, onEvent: after(5, { workerShutdown: true }) });
    const { step } = await first.end;
    const before = snapshot(run.folder);
    const ghost = await attempt(bench, run, { onEvent: after(step + 3, flags) });
    await expect(ghost.end).rejects.toBeInstanceOf(CancelledFailure);
    expect(ghost.events.filter(({ type }) => type === 'step').length).toBeGreaterThanOrEqual(3);
    const left = snapshot(run.folder);
    expect(left).toMatchObject(before);
    // Its log alone, which is its own.
    const added = Object.keys(left).filter((name) => !(name in before));
    expect(added).toEqual([expect.stringMatching(/^r\w+\/logs\/i\w+\/\w+\.jsonl$/)]);
    const lines = readFileSync(join(run.folder, added[0]!), 'utf8').trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ event: 'given-up', level: 'warn', step });
  });

  test('a process that stood still for longer than the heartbeat allows writes nothing more', async () => {
    const run = await prepared();
    const timeout = 300;
    const stand = (event: OptimiseEvent): undefined => {
      if (event.type !== 'step' || event.step !== 3) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * timeout);
    };
    const { end } = await attempt(bench, run, { onEvent: stand, info: { heartbeatTimeoutMs: timeout } });
    await expect(end).rejects.toMatchObject({ type: 'AttemptGivenUp' });
    expect(Object.keys(snapshot(run.folder)).filter((file) => file.includes('checkpoints'))).toEqual([]);
  });
});

test('a chunk ends with its time after one step at least, and the last one publishes', async () => {
  const run = await prepared({ method: 'distil', steps: 3 });
  for (const step of [1, 2]) {
    const { end, beats } = await attempt(bench, run, { seconds: 0 });
    expect(await end).toEqual({ step, ended: 'time' });
    expect(beats).toContainEqual({ step });
  }
  expect(await (await attempt(bench, run, { seconds: 0 })).end).toEqual({ step: 3, ended: 'done' });
  const result = await readResult(run.store, run.run, run.items[0]!.item);
  expect(result).toMatchObject({ state: 'succeeded', steps: 3, attempts: 3 });

  const other = await prepared({ method: 'distil', steps: 3 });
  await (
    await attempt(bench, other)
  ).end;
  expect((await readResult(other.store, other.run, other.items[0]!.item))?.digests).toEqual(result?.digests);
});

describe('an item that cannot be searched has a result that says why', () => {
  test('a prompt with words that the pack does not know', async () => {
    const prompt = 'a purple zebra';
    const run = await prepareUnchecked(bench, await temporaryFolder(), prompt);
    expect(await (await attempt(bench, run)).end).toEqual({ step: 0, ended: 'failed', code: 'InvalidInput' });
    const { item, digest } = run.items[0]!;
    expect(await readResult(run.store, run.run, item)).toMatchObject({
      ...{ state: 'failed', prompt, tags: ['t'], digests: { spec: digest } },
      error: { code: 'InvalidInput', message: expect.stringContaining('does not know "zebra"') as string },
    });
  });

  test.each([
    ['is not JSON', '{"prompt": "a red', 'not JSON'],
    ['lacks a field', '{"prompt": "a red circle"}', '"index"'],
    ['is of another item', '', 'expected the record of item'],
  ])('a record that %s', async (_, text, message) => {
    const run = await prepared();
    const { item, index } = run.items[0]!;
    const file = join(run.folder, run.run, 'items', item, 'spec.json');
    const other = { index, prompt: 'a red circle', seed: 1, options: {}, tags: [], metadata: {} };
    writeFileSync(file, text === '' ? JSON.stringify(other) : text);
    expect(await (await attempt(bench, run)).end).toMatchObject({ ended: 'failed', code: 'InvalidStore' });
    const result = await readResult(run.store, run.run, item);
    expect(result).toMatchObject({ state: 'failed', prompt: 'a red circle', error: { code: 'InvalidStore' } });
    expect(result?.error?.message).toContain(message);
  });

  test('checkpoints that belong to another search', async () => {
    const run = await prepared();
    const other = await prepared({ ...LONG, lr: 0.01 });
    await (
      await attempt(bench, other, { onEvent: after(2, { workerShutdown: true }) })
    ).end;
    const [step] = checkpointsOf(other);
    const name = `checkpoints/step-${String(step).padStart(6, '0')}.safetensors` as const;
    const bytes = await other.store.get(`${other.run}/items/${other.items[0]!.item}/${name}` as never);
    await run.store.put(`${run.run}/items/${run.items[0]!.item}/${name}` as never, bytes!);
    expect(await (await attempt(bench, run)).end).toEqual({ step, ended: 'failed', code: 'InvalidCheckpoint' });
    const result = await readResult(run.store, run.run, run.items[0]!.item);
    expect(result?.error?.message).toContain('belongs to another');
  });

  test('a worker whose store does not have the run writes nothing into it', async () => {
    const run = await prepared();
    const folder = await temporaryFolder();
    const { end } = await attempt(bench, run, { store: openStore(folder) });
    await expect(end).rejects.toMatchObject({ code: 'NotFound' });
    expect(snapshot(folder)).toEqual({});
  });
});

describe('what is recorded when every attempt has failed', () => {
  const record = async ({ store, run, items }: PreparedRun, code: string): Promise<void> => {
    const { activities, lanes } = workerOf(bench, store);
    const input = { v: 1, run, item: items[0]!.item, index: 0, code } as const;
    await new MockActivityEnvironment().run(() => activities.recordFailure(input));
    await lanes.close();
  };

  test('an older failure gives way, and a picture does not', async () => {
    const run = await prepared({ method: 'distil', steps: 2 });
    const result = () => readResult(run.store, run.run, run.items[0]!.item);
    await record(run, 'WorkerLost');
    expect((await result())?.error).toMatchObject({
      code: 'WorkerLost',
      message: expect.stringContaining('died') as string,
    });
    await record(run, 'StoreFull');
    expect((await result())?.error?.code).toBe('StoreFull');
    await (
      await attempt(bench, run)
    ).end;
    expect((await result())?.state).toBe('succeeded');
    await record(run, 'WorkerLost');
    expect((await result())?.state).toBe('succeeded');
  });

  test('a code of another version is recorded as an unknown failure', async () => {
    const run = await prepared();
    await record(run, 'FromTheFuture');
    expect((await readResult(run.store, run.run, run.items[0]!.item))?.error?.code).toBe('Internal');
  });
});
