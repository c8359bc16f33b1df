import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { startRun } from '../../activities/run.ts';
import { invert, openRun, RefereeError } from '../../index.ts';
import type { InvertEvent, InvertSpec, RunPrompt, RunResult } from '../../index.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { openStore } from '../../store/open-store.ts';
import { asRunId, parseKey } from '../../store/layout.ts';
import { decodePng, readPngText } from '../../store/png.ts';
import { readPrompts, readRun } from '../../store/run.ts';
import { sha256 } from '../../store/ids.ts';
import { temporaryFolder } from '../support/folder.ts';

const spec: InvertSpec = { prompt: 'a red circle to the left of a blue square', seed: 7, steps: 6 };

type Done = Extract<InvertEvent, { type: 'done' }>;

async function collect(events: AsyncIterable<InvertEvent>): Promise<InvertEvent[]> {
  const all: InvertEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

async function imageOf(events: AsyncIterable<InvertEvent>): Promise<Uint8Array> {
  const last = (await collect(events)).at(-1) as Done;
  return last.image();
}

/** Of the same search by the machinery of the command. */
let commanded: Promise<Uint8Array> | undefined;
function commandedImage(): Promise<Uint8Array> {
  commanded ??= (async () => {
    const { prompt, seed, steps } = spec;
    const store = await temporaryFolder();
    let path = '';
    await startRun({
      items: [{ index: 0, prompt, seed: seed!, overrides: { steps }, tags: [], metadata: {} }],
      pack: 'shapes',
      store,
      provider: 'cpu',
      signal: new AbortController().signal,
      onEvent: (event) => event.type === 'done' && (path = event.path),
    });
    return readFile(path);
  })();
  return commanded;
}

describe('invert', () => {
  test('tells steps, previews and the picture, which has the bytes that the command writes', async () => {
    const events = await collect(invert(spec));
    const steps = events.filter(({ type }) => type === 'step').map((event) => ('step' in event ? event.step : 0));
    expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
    const previews = events.filter((event) => event.type === 'preview');
    expect(previews.map(({ step }) => step)).toEqual([1, 2, 4]);
    expect(await decodePng(await previews[2]!.image())).toMatchObject({ width: 64, height: 64 });
    expect(events.map(({ type }) => type)).not.toContain('checkpoint');
    const done = events.at(-1) as Done;
    expect(done.type).toBe('done');
    expect(done.result).toMatchObject({ ...pick(spec), state: 'succeeded', steps: 6 });
    expect(Object.keys(done.result.scores)).toEqual(['match', 'judge', 'recall']);
    const image = await done.image();
    expect(sha256(image)).toBe(done.result.digests.image);
    expect(readPngText(image)['parameters']).toContain(spec.prompt);
    expect(Buffer.compare(image, await commandedImage())).toBe(0);
    const latent = await done.latent();
    expect(latent.shape).toEqual([4, 16, 16]);
    expect(sha256(new Uint8Array((latent.data as Float32Array).buffer))).toBe(done.result.digests.latent);
  });

  test('left in the middle goes on from there, and ends with the same bytes', async () => {
    const store = await temporaryFolder();
    for await (const event of invert(spec, { store, previews: false })) {
      if (event.type === 'step' && event.step === 3) break;
    }
    const events = await collect(invert(spec, { store, previews: false }));
    expect(events.find(({ type }) => type === 'step')).toMatchObject({ step: 4 });
    expect(events.filter(({ type }) => type === 'checkpoint')).toMatchObject([{ step: 6 }]);
    const done = events.at(-1) as Done;
    expect(done.result.attempts).toBe(2);
    expect(Buffer.compare(await readFile(done.path), await commandedImage())).toBe(0);
    expect((await collect(invert(spec, { store }))).map(({ type }) => type)).toEqual(['done']);
  });

  test('aborted while an event is waited for: says so, is saved, goes on', async () => {
    const store = await temporaryFolder();
    const controller = new AbortController();
    const reason = new Error('shutting down');
    const events = invert(spec, { store, signal: controller.signal, previews: false });
    await events.next();
    const pending = events.next();
    controller.abort(reason);
    const rest = async (): Promise<void> => {
      let next = await pending;
      while (next.done !== true) next = await events.next();
    };
    await expect(rest()).rejects.toMatchObject({ code: 'Interrupted', cause: reason });
    const again = await collect(invert(spec, { store, previews: false }));
    const first = again.find((event) => event.type === 'step')!;
    expect(first.step).toBeGreaterThan(1);
    expect(Buffer.compare(await (again.at(-1) as Done).image(), await commandedImage())).toBe(0);
  });

  test('return while an event is waited for comes to an end', async () => {
    const events = invert(spec, { previews: false });
    const pending = events.next();
    const left = events.return();
    expect((await pending).value).toMatchObject({ type: 'step', step: 1 });
    expect(await left).toEqual({ done: true, value: undefined });
  });

  test('two at the same time do not disturb each other', async () => {
    const [a, b] = await Promise.all([
      imageOf(invert(spec, { threads: 1 })),
      imageOf(invert({ ...spec, seed: 8, steps: 4 }, { threads: 1 })),
    ]);
    expect(Buffer.compare(a, await commandedImage())).toBe(0);
    expect(Buffer.compare(b, a)).not.toBe(0);
  });
});

const options = { steps: 4 };

async function results(of: AsyncIterable<RunResult>): Promise<RunResult[]> {
  const all: RunResult[] = [];
  for await (const result of of) all.push(result);
  return all;
}

const short = (result: RunResult): unknown[] => [result.ok, result.index, result.prompt, result.seed];

describe('openRun', () => {
  const mixed: RunPrompt[] = [
    { prompt: 'a red circle', steps: 8, id: 'slow' },
    'a green zebra',
    { prompt: 'a blue square', seeds: [1, 2] },
    { prompt: 'a red circle', steps: 8 },
    { prompt: 'a blue square', id: 'slow' },
  ];
  const inOrder = [
    [true, 0, 'a red circle', 0],
    [false, 1, 'a green zebra', 0],
    [true, 2, 'a blue square', 1],
    [true, 2, 'a blue square', 2],
    [true, 3, 'a red circle', 0],
    [false, 4, 'a blue square', 0],
  ];

  test('gives a result for every prompt and seed, in the order of the input; failures are values', async () => {
    const store = await temporaryFolder();
    await using run = await openRun({ input: mixed, store, options, concurrency: 2 });
    const all = await results(run.results({ order: 'input' }));
    expect(all.map(short)).toEqual(inOrder);
    expect(all.map((result) => (result.ok ? 'ok' : result.error.code))).toEqual([
      'ok',
      'InvalidInput',
      'ok',
      'ok',
      'ok',
      'InvalidInput',
    ]);
    const [first, , , , twin, named] = all;
    expect(first).toMatchObject({ id: 'slow', isReused: false, scores: { recall: expect.any(Number) as number } });
    if (named?.ok !== false || first?.ok !== true || twin?.ok !== true) throw new Error('not as expected');
    expect(named.error.message).toBe('"id": expected a name that no other prompt has, found "slow" of prompt 0');
    expect(Buffer.compare(await first.image(), await readFile(twin.path))).toBe(0);

    // The same again: everything is there, and the run is what the command would call it.
    await using again = await openRun({ input: mixed, store, options });
    expect(again.id).toBe(run.id);
    expect((await readRun(openStore(store), asRunId(run.id)))?.items).toBe(3);
    const there = await results(again.results());
    expect(there.filter((result) => result.ok && result.isReused)).toHaveLength(4);
  });

  test('tells what is finished first in the order of completion', async () => {
    const input = [
      { prompt: 'a red circle', steps: 6 },
      { prompt: 'a green cross', steps: 1 },
    ];
    await using run = await openRun({ input, concurrency: 2 });
    expect((await results(run.results())).map(({ index }) => index)).toEqual([1, 0]);
  });

  test('reads an input no faster than it searches; leaving the loop closes the input and saves', async () => {
    const store = await temporaryFolder();
    let pulled = 0;
    let isClosed = false;
    function* endless(): Generator<RunPrompt> {
      try {
        for (;;) yield { prompt: 'a yellow triangle', seed: pulled++, steps: 3 };
      } finally {
        isClosed = true;
      }
    }
    const run = await openRun({ input: endless(), store, id: 'mine', concurrency: 2, checkpointEvery: 100 });
    expect([run.id, pulled]).toEqual(['mine', 0]);
    for await (const result of run.results()) {
      expect(result.ok).toBe(true);
      // Two searched, two in the queue, two on their way.
      expect(pulled).toBeLessThanOrEqual(7);
      if (result.ok && result.seed >= 1) break;
    }
    expect(isClosed).toBe(true);
    const rows: string[] = [];
    for await (const row of readPrompts(openStore(store), asRunId('mine'))) rows.push(row.item);
    expect(rows.length).toBeGreaterThanOrEqual(2);
    expect((await readRun(openStore(store), asRunId('mine')))?.items).toBe(rows.length);

    // The same id goes on: what is finished is used, the records grow.
    const more = [0, 1, 100].map((seed) => ({ prompt: 'a yellow triangle', seed, steps: 3 }));
    await using again = await openRun({ input: new Set(more), store, id: 'mine' });
    const all = await results(again.results({ order: 'input' }));
    expect(all.map((result) => result.ok && result.isReused)).toEqual([true, true, false]);
    expect((await readRun(openStore(store), asRunId('mine')))?.items).toBe(rows.length + 1);
  });

  test('an input may wait for a result before it gives the next prompt', async () => {
    let tell: (result: RunResult) => void = () => undefined;
    const told = new Promise<RunResult>((resolve) => (tell = resolve));
    async function* input(): AsyncGenerator<RunPrompt> {
      yield { prompt: 'a red circle', steps: 3 };
      const first = await told;
      yield { prompt: 'a green circle', steps: 3, metadata: { after: first.index } };
    }
    await using run = await openRun({ input: input(), concurrency: 4 });
    const seen: RunResult[] = [];
    for await (const result of run.results()) {
      seen.push(result);
      tell(result);
    }
    expect(seen.map(short)).toEqual([
      [true, 0, 'a red circle', 0],
      [true, 1, 'a green circle', 0],
    ]);
  });

  test('aborted while a result is waited for of an input that gives nothing', async () => {
    const controller = new AbortController();
    const nothing = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    await using run = await openRun({ input: nothing, signal: controller.signal });
    const pending = run.results().next();
    controller.abort(new Error('enough'));
    await expect(pending).rejects.toMatchObject({ code: 'Interrupted' });
  });

  test('left while a result is waited for: both end, searches are saved, and go on when asked again', async () => {
    const store = new MemoryStore();
    const steps: number[] = [];
    const run = await openRun({
      input: [{ prompt: 'a red circle', steps: 8 }],
      store,
      onEvent: (event) => {
        if (event.type !== 'step') return;
        steps.push(event.step);
        if (event.step === 3) void run.close();
      },
    });
    expect(await run.results().next()).toEqual({ done: true, value: undefined });
    await run.close();
    const saved = (await store.list(`${run.id}/`)).map((key) => parseKey(key));
    expect(saved).toContainEqual(expect.objectContaining({ kind: 'checkpoint', step: 3 }));
    expect(await results(run.results())).toMatchObject([{ ok: true }]);
    expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('an input that breaks, and a store that fills up, end the iteration with their error', async () => {
    async function* broken(): AsyncGenerator<RunPrompt> {
      yield await Promise.resolve('a red circle');
      throw new TypeError('no such table');
    }
    await using first = await openRun({ input: broken(), options });
    await expect(results(first.results())).rejects.toThrow(new TypeError('no such table'));

    class SmallStore extends MemoryStore {
      override put(...call: Parameters<MemoryStore['put']>): ReturnType<MemoryStore['put']> {
        if (!call[0].endsWith('image.png')) return super.put(...call);
        return Promise.reject(new RefereeError('StoreFull', 'no space left'));
      }
    }
    await using second = await openRun({ input: ['a red circle'], options, store: new SmallStore() });
    await expect(results(second.results())).rejects.toMatchObject({ code: 'StoreFull' });
  });

  test('its results are taken by one at a time, and a stream only once', async () => {
    await using run = await openRun({ input: new Set(['a red zebra', 'a red circle']), options });
    const taken = run.results();
    expect((await taken.next()).value).toMatchObject({ ok: false });
    expect(() => run.results()).toThrow('its results are being taken already');
    await taken.return?.();
    await expect(run.results().next()).rejects.toThrow('its input was read before');
  });

  test('previews are stored when asked for, in the folder of the run', async () => {
    const store = await temporaryFolder();
    const paths: string[] = [];
    const onEvent = (event: { type: string; path?: string }): unknown =>
      event.type === 'preview' && paths.push(event.path!);
    await using run = await openRun({ input: ['a red circle'], options, store, previews: true, onEvent });
    await results(run.results());
    expect(run.folder).toBe(join(store, run.id));
    expect(paths).toHaveLength(2);
    for (const path of paths) expect((await readFile(path)).subarray(8, 12).toString()).toBe('WEBP');
  });
});

function pick({ prompt, seed }: InvertSpec): object {
  return { prompt, seed };
}
