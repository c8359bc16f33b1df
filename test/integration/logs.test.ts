import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { openRun } from '../../index.ts';
import { RefereeError } from '../../errors.ts';
import { checkpointCodec } from '../../activities/checkpoint-codec.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../store/checkpoint.ts';
import { parseKey } from '../../store/layout.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { temporaryFolder } from '../support/folder.ts';
import { ONE_DEVICE, Referee, referee } from './support/command.ts';
import type { Event } from './support/command.ts';
import { filesOf } from './support/whole-files.ts';

const PROMPT = 'a red circle';
const METHOD = ['--method', 'distil', '--steps', '12', '--checkpoint-every', '4', ...ONE_DEVICE];

/** Nothing answers there. */
const NOWHERE = ['--address', '127.0.0.1:1'];

function runOf(store: string): string {
  return readdirSync(store)[0]!;
}

async function logs(store: string, ...more: readonly string[]): Promise<readonly Event[]> {
  const { code, events, stderr } = await referee(['logs', runOf(store), '--json', '--store', store, ...more]);
  expect([code, stderr]).toEqual([0, '']);
  return events;
}

const told = (lines: readonly Event[]) => lines.map(({ event, step, attempt }) => [event, step, attempt]);

test('every attempt tells where it began, its checkpoints and how it ended; no prompt is told', async () => {
  const store = await temporaryFolder();
  const words = ['run', PROMPT, '--store', store, '--json', ...METHOD];
  const stopped = await referee(words, {
    onOutput: (text) => {
      if (text.includes('"type":"step"') && text.includes('"step":6,')) process.emit('SIGINT');
    },
  });
  expect(stopped.code).toBe(130);
  expect((await referee(words)).code).toBe(0);
  const lines = await logs(store);
  expect(told(lines)).toEqual([
    ['start', 0, 1],
    ['checkpoint', 4, 1],
    ['checkpoint', 6, 1],
    ['leave', 6, 1],
    ['resume', 6, 2],
    ['checkpoint', 8, 2],
    ['checkpoint', 12, 2],
    ['done', 12, 2],
  ]);
  const item = String(lines[0]!['item']);
  expect(lines.find(({ event }) => event === 'leave')).toMatchObject({
    ...{ v: 1, run: runOf(store), item, level: 'info', reason: 'interrupted' },
    worker: expect.stringMatching(new RegExp(`^${process.pid}@`)) as string,
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
  });
  const files = filesOf(store).filter((file) => file.includes('/logs/'));
  expect(files).toHaveLength(2);
  for (const file of files) expect(readFileSync(join(store, file), 'utf8')).not.toMatch(/circle/);

  // Level, age and item leave lines out.
  expect(await logs(store, '--level', 'warn')).toEqual([]);
  expect(await logs(store, '--since', '2001-01-01')).toHaveLength(8);
  expect(await logs(store, '--since', new Date(Date.parse(String(lines[4]!['time']))).toISOString())).toHaveLength(4);
  expect(await logs(store, '--since', '2999-01-01T00:00Z')).toEqual([]);
  const people = await referee(['logs', runOf(store), item, '--store', store]);
  expect(people.stdout.split('\n')).toHaveLength(9);
  expect(people.stdout).toMatch(
    new RegExp(`^\\S+Z info  ${item} #2 ${process.pid}@\\S+ {2}resume {2}step 6 of 12$`, 'm'),
  );
});

test('a damaged checkpoint and a search that fails are told by their level', async () => {
  const store = await temporaryFolder();
  const words = ['run', PROMPT, '--store', store, '--json', ...METHOD];
  const first = await referee(words, {
    onOutput: (text) => {
      if (text.includes('"type":"checkpoint"') && text.includes('"step":8,')) process.emit('SIGINT');
    },
  });
  expect(first.code).toBe(130);
  const checkpoints = filesOf(store).filter((file) => file.endsWith('.safetensors'));
  const newest = join(store, checkpoints.at(-1)!);
  writeFileSync(newest, readFileSync(newest).subarray(0, -1));
  expect((await referee(words)).code).toBe(0);
  expect((await logs(store, '--level', 'warn')).map(({ event, level }) => [event, level])).toEqual([
    ['passed-over', 'warn'],
  ]);

  // Values from which the next step overflows, in a checkpoint that is whole.
  const other = await temporaryFolder();
  const again = ['run', PROMPT, '--store', other, '--json', ...METHOD];
  await referee(again, {
    onOutput: (text) => {
      if (text.includes('"type":"checkpoint"')) process.emit('SIGINT');
    },
  });
  const [only] = filesOf(other).filter((file) => file.endsWith('.safetensors'));
  overflow(join(other, only!));
  expect((await referee(again)).code).toBe(3);
  expect(await logs(other, '--level', 'error')).toMatchObject([{ event: 'failed', level: 'error', code: 'NonFinite' }]);
  // A failure that is recorded as one is no fault of the records, but the run has not all its pictures.
  const verified = await referee(['verify', runOf(other), '--store', other, '--json']);
  expect(verified).toMatchObject({
    code: 3,
    events: [{ counts: { failed: 1, faults: 0 }, failed: [{ code: 'NonFinite' }] }],
  });
});

function overflow(file: string): void {
  const found = decodeCheckpoint(checkpointCodec, readFileSync(file), file);
  if ('damage' in found) throw new Error(found.damage);
  const { shape } = found.tensors['latent']!;
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(3e38);
  const latent = { dtype: 'float32' as const, shape, data };
  writeFileSync(file, encodeCheckpoint(checkpointCodec, { ...found, tensors: { ...found.tensors, latent } }));
}

test('a run is followed to its end, to the last line, without any server', async () => {
  const store = await temporaryFolder();
  const words = ['run', PROMPT, '--seeds', '1-2', '--store', store, '--json', ...METHOD, '--lanes', '1'];
  const running = new Referee(words);
  await running.event(({ type }) => type === 'checkpoint');
  const followed = await referee(['logs', runOf(store), '--follow', '--json', '--store', store, ...NOWHERE]);
  expect(followed).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('follows until every item has a result') as string,
  });
  expect((await running.ended).code).toBe(0);
  expect(followed.events.filter(({ event }) => event === 'done')).toHaveLength(2);
  expect(followed.events).toHaveLength((await logs(store)).length);
});

test('Ctrl-C stops following, and says that the run goes on', async () => {
  const store = await temporaryFolder();
  const words = ['run', PROMPT, '--store', store, '--json', ...METHOD];
  const stopped = await referee(words, {
    onOutput: (text) => {
      if (text.includes('"type":"checkpoint"')) process.emit('SIGINT');
    },
  });
  expect(stopped.code).toBe(130);
  const following = new Referee(['logs', runOf(store), '--follow', '--store', store, ...NOWHERE]);
  await following.stderrHas('follows until');
  following.kill('SIGINT');
  expect(await following.ended).toMatchObject({
    code: 130,
    stdout: expect.stringContaining('leave') as string,
    stderr: expect.stringContaining(`stopped following; run ${runOf(store)} goes on`) as string,
  });
});

test('a run, an item and a time that are none', async () => {
  const store = await temporaryFolder();
  expect((await referee(['run', PROMPT, '--store', store, ...METHOD])).code).toBe(0);
  const run = runOf(store);
  const refused = async (...words: string[]): Promise<[number | null, string]> => {
    const { code, stderr, stdout } = await referee(['logs', ...words, '--store', store]);
    expect(stdout).toBe('');
    return [code, stderr];
  };
  expect(await refused('r000000000000')).toEqual([
    4,
    expect.stringContaining('run r000000000000 is not in the store') as string,
  ]);
  expect(await refused(run, 'i0')).toEqual([4, expect.stringContaining(`run ${run} has no item i0`) as string]);
  expect(await refused(run, '--since', 'yesterday')).toEqual([
    2,
    expect.stringContaining('--since: expected an age') as string,
  ]);
  expect(await refused(run, '--level', 'warning')).toEqual([
    2,
    expect.stringContaining('--level: expected one of debug, info, warn, error, found "warning"') as string,
  ]);
});

/** Counts writes of logs; refuses them where it is told to. */
class LogCounting extends MemoryStore {
  writes = 0;
  readonly #isRefusing: boolean;

  constructor(isRefusing: boolean) {
    super();
    this.#isRefusing = isRefusing;
  }

  override put(...given: Parameters<MemoryStore['put']>): ReturnType<MemoryStore['put']> {
    if (parseKey(given[0])?.kind !== 'log') return super.put(...given);
    this.writes += 1;
    if (this.#isRefusing) return Promise.reject(new RefereeError('StoreFull', 'no space for logs'));
    return super.put(...given);
  }
}

test('a log is a write for each checkpoint at most, and one that cannot be written harms nothing', async () => {
  const images: string[] = [];
  const notes: string[][] = [];
  for (const isRefusing of [false, true]) {
    const store = new LogCounting(isRefusing);
    const said: string[] = [];
    const run = await openRun({
      input: [PROMPT],
      ...{ store, threads: 1, checkpointEvery: 4, options: { method: 'distil', steps: 12 } },
      onEvent: (event) => {
        if (event.type === 'note') said.push(event.message);
      },
    });
    for await (const result of run.results()) {
      if (!result.ok) throw result.error;
      images.push(Buffer.from(await result.image()).toString('base64'));
    }
    // After 4 and 8 steps, and at the end.
    expect(store.writes).toBeLessThanOrEqual(isRefusing ? 6 : 3);
    notes.push(said);
  }
  expect(images[1]).toBe(images[0]);
  expect(notes).toEqual([[], ['the log of the attempt could not be written: no space for logs']]);
});
