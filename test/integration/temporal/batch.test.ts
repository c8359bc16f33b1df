import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { temporaryFolder } from '../../support/folder.ts';
import { startTemporal } from '../../support/servers/servers.ts';
import { controlUpdate, statusQuery } from '../../../workflows/messages.ts';
import { connectClient, prepareRun, PROMPTS, startBatch } from './support/batches.ts';
import type { Prepared } from './support/batches.ts';
import { byRun } from './support/by-run.ts';
import { workersOfTests } from './support/left-workers.ts';

let address: string;
let client: Client;
const worker = workersOfTests(() => address);

beforeAll(async () => {
  ({ address } = await startTemporal());
  client = await connectClient(address);
});

afterAll(async () => {
  await client.connection.close();
});

/** Pictures of a run by item. */
async function pictures(store: string, { spec }: Prepared): Promise<Record<string, string>> {
  const all = spec.items.map(async ({ item }) => {
    const file = join(store, spec.run, 'items', item, 'image.png');
    return [item, (await readFile(file)).toString('base64')] as const;
  });
  return Object.fromEntries(await Promise.all(all));
}

test('a batch gives the pictures of `referee run`, byte for byte, whatever happens to its workers', async () => {
  const store = await temporaryFolder();
  const prepared = await prepareRun(store, PROMPTS, { steps: 8 });
  const first = await worker(store);
  const handle = await startBatch(client, prepared, { itemsPerPage: 6, window: 12, continueAfterEvents: 20 });
  await first.saying('"checkpoint"');
  first.kill('SIGKILL');
  const second = await worker(store);
  await second.saying('"done"');
  expect(await second.stop()).toBe(0); // drained
  const third = await worker(store);
  expect(await handle.result()).toEqual({
    v: 1,
    counts: { queued: 0, running: 0, done: PROMPTS.length, failed: 0, cancelled: 0 },
  });
  const status = await handle.query(statusQuery);
  expect(status).toMatchObject({ state: 'completed', openPages: [], counts: { done: PROMPTS.length } });
  expect(await pictures(store, prepared)).toEqual(await pictures(await byRun(PROMPTS, 8, ['--no-previews']), prepared));
  const manifest = await readFile(join(store, prepared.spec.run, 'manifest.jsonl'), 'utf8');
  expect(manifest.trimEnd().split('\n')).toHaveLength(PROMPTS.length);
  // A second time there is nothing to do.
  const again = await startBatch(client, prepared, { round: 1 });
  expect((await again.result()).counts.done).toBe(PROMPTS.length);
  expect(await third.stop()).toBe(0);
});

test('pause, pause now, resume and cancel', async () => {
  const store = await temporaryFolder();
  const prepared = await prepareRun(store, PROMPTS.slice(0, 3), { steps: 4000 });
  const own = await worker(store);
  const handle = await startBatch(client, prepared, { chunkSeconds: 600 });
  await own.saying('"checkpoint"');
  const paused = await handle.executeUpdate(controlUpdate, { args: [{ paused: true, now: true }] });
  expect(paused.state).toBe('paused');
  own.said = '';
  await handle.executeUpdate(controlUpdate, { args: [{ paused: false }] });
  await own.saying('"start"');
  expect((await handle.query(statusQuery)).state).toBe('running');
  await handle.cancel();
  await expect(handle.result()).rejects.toMatchObject({ name: 'WorkflowFailedError' });
  expect(await handle.query(statusQuery)).toMatchObject({ state: 'cancelled', counts: { cancelled: 3, done: 0 } });
  const steps = await readdir(join(store, prepared.spec.run, 'items', prepared.spec.items[0]!.item, 'checkpoints'));
  expect(steps.length).toBeGreaterThan(0);
  await own.stop();
});
