import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { sha256 } from '../../../store/ids.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { startTemporal } from '../../support/servers/servers.ts';
import { filesOf } from '../support/whole-files.ts';
import { connectClient, prepareRun, startBatch } from './support/batches.ts';
import type { BatchHandle, Prepared, WorkerProcess } from './support/batches.ts';
import { byRun } from './support/by-run.ts';
import { workersOfTests } from './support/left-workers.ts';

const [PROMPT, OTHER] = ['a red circle', 'a green cross'] as const;
/** Long enough that a worker that was seen to begin cannot have ended when it is stopped. */
const STEPS = 240;
const roles = (names: string): string[] => ['--roles', names, '--lanes', '1'];

let address: string;
let client: Client;
const worker = workersOfTests(() => address);

beforeAll(async () => {
  ({ address } = await startTemporal());
  client = await connectClient(address);
});

afterAll(() => client.connection.close());

/** Digests of all files by path. */
function content(folder: string): Record<string, string> {
  return Object.fromEntries(filesOf(folder).map((file) => [file, sha256(readFileSync(join(folder, file)))]));
}

/** What the log says of an item, by message. */
function told(said: string, item: string): { message: string; step: number; attempt: number }[] {
  const lines = said.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}') && line.includes(item));
  return lines.map((line) => JSON.parse(line) as { message: string; step: number; attempt: number });
}

/** Picture and trace by `referee run`, of the only item. */
async function undisturbed(): Promise<readonly Buffer[]> {
  return lasting(await byRun([PROMPT], STEPS, ['--no-previews']));
}

interface GivenUp {
  readonly store: string;
  readonly prepared: Prepared;
  readonly handle: BatchHandle;
  /** Has written a checkpoint and stands still. */
  readonly ghost: WorkerProcess;
  /** Waits for the item. */
  readonly second: WorkerProcess;
}

/** An item whose first worker is stopped in the middle of it, and a second worker. */
async function stoppedAttempt(): Promise<GivenUp> {
  const store = await temporaryFolder();
  const prepared = await prepareRun(store, [PROMPT], { steps: STEPS });
  await worker(store, roles('workflows,io'));
  const ghost = await worker(store, roles('device'));
  const handle = await startBatch(client, prepared);
  await ghost.saying('"checkpoint"');
  ghost.kill('SIGSTOP');
  return { store, prepared, handle, ghost, second: await worker(store, roles('device')) };
}

function lasting(store: string): readonly Buffer[] {
  const files = filesOf(store).filter((file) => /(?:image\.png|trace\.jsonl)$/.test(file));
  expect(files).toHaveLength(2);
  return files.map((file) => readFileSync(join(store, file)));
}

test('two attempts at an item: the one that was given up changes nothing and deletes nothing, whenever it wakes', async () => {
  const { store, prepared, handle, ghost, second } = await stoppedAttempt();
  const { spec } = prepared;
  const item = spec.items[0]!.item;
  expect((await handle.result()).counts).toMatchObject({ done: 1, failed: 0 });
  expect(told(second.said, item).map(({ message }) => message)).toContain('done');
  expect(Math.max(...told(second.said, item).map(({ attempt }) => attempt))).toBeGreaterThan(1);
  await second.stop();

  const before = content(join(store, spec.run));
  const saidBefore = told(ghost.said, item).filter(({ message }) => message !== 'step').length;
  ghost.kill('SIGCONT');
  // Its only lane does another item, in a folder of its own: by then it has let the first one go.
  const other = await prepareRun(store, [OTHER], { steps: 4 });
  expect((await (await startBatch(client, other)).result()).counts.done).toBe(1);
  expect(await ghost.stop()).toBe(0);
  expect(told(ghost.said, other.spec.items[0]!.item).map(({ message }) => message)).toContain('done');
  // Its log alone, which is its own.
  const left = content(join(store, spec.run));
  expect(left).toMatchObject(before);
  const added = Object.keys(left).filter((name) => !(name in before));
  expect(added.filter((name) => !/^logs\/i\w+\/\w+\.jsonl$/.test(name))).toEqual([]);
  expect(told(ghost.said, item).filter(({ message }) => message !== 'step')).toHaveLength(saidBefore);
  const results = readFileSync(join(store, spec.run, 'manifest.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  expect(results).toHaveLength(1);
  expect(lasting(join(store, spec.run))).toEqual(await undisturbed());
});

test('two attempts at an item: one that wakes while the other searches writes nothing more; same bytes, one result', async () => {
  const { store, prepared, handle, ghost, second } = await stoppedAttempt();
  const { spec } = prepared;
  const item = spec.items[0]!.item;
  await second.saying('"checkpoint"');
  const saidBefore = told(ghost.said, item).filter(({ message }) => message !== 'step').length;
  ghost.kill('SIGCONT');
  expect((await handle.result()).counts).toMatchObject({ done: 1, failed: 0 });
  expect(await ghost.stop()).toBe(0);
  expect(told(ghost.said, item).filter(({ message }) => message !== 'step')).toHaveLength(saidBefore);
  expect(lasting(join(store, spec.run))).toEqual(await undisturbed());
});
