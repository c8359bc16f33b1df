import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, expect, test } from 'vitest';

import { connect } from '../../../index.ts';
import type { RemoteRun } from '../../../index.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { startTemporal } from '../../support/servers/servers.ts';
import { referee } from '../support/command.ts';
import type { Event } from '../support/command.ts';
import { PROMPTS } from './support/batches.ts';
import { byRun } from './support/by-run.ts';
import { workersOfTests } from './support/left-workers.ts';

/** Of a machine that has ten other things to do. */
const PATIENCE_MS = 600_000;

let address: string;
const worker = workersOfTests(() => address);

beforeAll(async () => {
  ({ address } = await startTemporal());
});

const at = (store: string): string[] => ['--store', store, '--address', address];

/** Every line of a run's logs. */
async function logsOf(run: string, store: string): Promise<readonly Event[]> {
  const { code, events, stderr } = await referee(['logs', run, '--json', ...at(store)]);
  expect([code, stderr]).toEqual([0, '']);
  return events;
}

test(
  'prompts become the pictures, the sheet and the records that `referee run` makes, and can be verified',
  async () => {
    const store = await temporaryFolder();
    const prompts = PROMPTS.slice(0, 5);
    const input = [...prompts.slice(0, 2), 'a purple zebra', ...prompts.slice(2), { prompt: prompts[0]!, id: 'again' }];
    const settings = { address, store, input, options: { steps: 8 }, checkpointEvery: 4 };
    const own = await worker(store);
    const run = await connect(settings);
    const followed = referee(['logs', run.id, '--follow', '--json', ...at(store)]);

    const results = [];
    for await (const result of run.results({ order: 'input' })) results.push(result);
    expect(results.map(({ index, id, ok }) => [index, id, ok])).toEqual([
      [0, undefined, true],
      [1, undefined, true],
      [2, undefined, false],
      [3, undefined, true],
      [4, undefined, true],
      [5, undefined, true],
      [6, 'again', true],
    ]);
    expect(results[2]).toMatchObject({ ok: false, prompt: 'a purple zebra', error: { code: 'InvalidInput' } });

    expect(results.some((result) => result.ok && result.isReused)).toBe(false);
    const plain = await byRun(prompts, 8);
    for (const result of results) {
      if (!result.ok) continue;
      const file = result.path.replace(store, plain);
      expect(Buffer.from(await result.image())).toEqual(await readFile(file));
      expect((await result.latent()).shape).toHaveLength(3);
    }
    const ended = await followed;
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    // The run is over only now: the last result is there before its manifest.
    expect(await run.status()).toMatchObject({ state: 'completed', items: 5, counts: { done: 5 } });
    const sheets = await Promise.all([store, plain].map((each) => readFile(join(each, run.id, 'contact-sheet.png'))));
    expect(sheets[0]!.equals(sheets[1]!)).toBe(true);
    const verified = await referee(['verify', run.id, '--store', store, '--replay', '2', '--threads', '1']);
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('replayed  2 of 2 have') as string });

    // Who followed has heard everything, in the order of time, to the last line.
    const lines = await logsOf(run.id, store);
    expect(ended.events).toHaveLength(lines.length);
    expect(lines.filter(({ event }) => event === 'done')).toHaveLength(5);
    expect(lines.filter(({ event, step }) => event === 'checkpoint' && step === 4)).toHaveLength(5);
    expect(lines.map(({ time }) => time)).toEqual(lines.map(({ time }) => time).sort());
    expect(new Set(lines.map(({ attempt }) => attempt))).toEqual(new Set([1]));
    expect(JSON.stringify(lines)).not.toMatch(/circle|square|zebra/);

    // The same prompts again, and the run by its id: everything is there, no worker is needed.
    expect(await own.stop()).toBe(0);
    const again = await connect(settings);
    expect(again.id).toBe(run.id);
    const reused = await all(again);
    expect(reused.map((result) => result.ok && result.isReused)).toEqual([true, true, false, true, true, true, true]);
    expect((await all(await connect({ address, store, id: run.id }))).map(({ index }) => index)).toEqual([
      0, 1, 2, 3, 4,
    ]);
  },
  PATIENCE_MS,
);

test(
  'leaving, closing and the signal let the run go on; it is paused, drained, cancelled and resumed',
  async () => {
    const store = await temporaryFolder();
    const prompts = PROMPTS.slice(0, 3);
    const first = await worker(store);
    const notes: string[] = [];
    const onEvent = (event: { type: string; message?: string }): void => void notes.push(event.message ?? '');
    // Two short searches beside one that does not end while the test looks at it.
    const input = [prompts[0]!, prompts[1]!, { prompt: prompts[2]!, steps: 10_000 }];
    const run = await connect({ address, store, input, options: { steps: 4 }, checkpointEvery: 2, onEvent });
    const taken: number[] = [];
    for await (const result of run.results()) {
      taken.push(result.index);
      if (taken.length === 2) break;
    }
    expect(taken.toSorted()).toEqual([0, 1]);
    await run.close();
    expect(await run.status()).toMatchObject({ state: 'running', counts: { done: 2, running: 1 } });

    const controller = new AbortController();
    const watched = await connect({ address, store, id: run.id, signal: controller.signal });
    const seen: number[] = [];
    const interrupted = (async () => {
      for await (const { index } of watched.results()) {
        seen.push(index);
        if (seen.length === 2) controller.abort(new Error('enough'));
      }
    })();
    await expect(interrupted).rejects.toMatchObject({
      code: 'Interrupted',
      message: expect.stringContaining('goes on') as string,
      cause: { message: 'enough' },
    });
    expect((await run.status()).state).toBe('running');

    expect(await first.stop()).toBe(0); // drained
    const second = await worker(store);
    await second.saying('"start"');
    await run.pause();
    expect((await run.status()).state).toBe('paused');
    await run.resume();
    expect((await run.status()).state).toBe('running');
    await second.saying('"checkpoint"');
    const ends = all(run);
    await run.cancel();
    await expect(ends).rejects.toMatchObject({
      code: 'Interrupted',
      message: `run ${run.id} was cancelled: 1 item has no result`,
    });
    expect(await referee(['verify', run.id, '--store', store])).toMatchObject({ code: 2 });
    expect(notes.filter((note) => !note.includes('no worker'))).toEqual([]);

    const long = (await logsOf(run.id, store)).filter(({ steps, event }) => steps === 10_000 || event === 'leave');
    expect(long.map(({ event, reason }) => [event, reason])).toEqual([
      ['start', undefined],
      ['leave', 'drain'],
      ['resume', undefined],
      ['leave', 'cancel'],
    ]);
    expect(new Set(long.map(({ worker: who }) => who)).size).toBe(2);
    await second.stop();
  },
  PATIENCE_MS,
);

test('what is wrong is one error, and nothing is begun', async () => {
  const store = await temporaryFolder();
  const code = (wrong: string, message: string) => ({
    code: wrong,
    message: expect.stringContaining(message) as string,
  });
  await expect(connect({ address, store })).rejects.toMatchObject(
    code('InvalidOption', 'expected either "input" or "id"'),
  );
  await expect(connect({ address, store, id: 'r1', window: 0 })).rejects.toMatchObject(code('InvalidOption', 'window'));
  await expect(connect({ address, store, id: 'r1', adress: 'x' } as never)).rejects.toMatchObject(
    code('InvalidOption', 'unknown setting "adress": did you mean "address"'),
  );
  await expect(connect({ address, store, id: 'r1' })).rejects.toMatchObject(
    code('NotFound', 'run r1 is not in the store'),
  );
  const nowhere = { address: '127.0.0.1:1', store, input: ['a red circle'] };
  await expect(connect(nowhere)).rejects.toMatchObject(code('ServerUnavailable', '127.0.0.1:1'));
  await rm(store, { recursive: true });
});

async function all(run: RemoteRun) {
  const results = [];
  for await (const result of run.results({ order: 'input' })) results.push(result);
  return results;
}
