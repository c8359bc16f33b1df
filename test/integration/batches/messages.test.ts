import { readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { WorkflowBundle } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { batchId, WORKFLOW_QUEUE } from '../../../workflows/ids.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { startTemporal } from '../../support/servers/servers.ts';
import { referee } from '../support/command.ts';
import type { Ended } from '../support/command.ts';
import { finish } from './support/batch-messages.ts';

const PROMPTS = 'a red circle\na blue square\n';

let folder: string;
let address: string;
let client: Client;
let bundle: WorkflowBundle;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'referee-messages-'));
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  ({ address } = await startTemporal());
  client = new Client({ connection: await Connection.connect({ address }) });
  const workflowsPath = fileURLToPath(new URL('support/batch-messages.ts', import.meta.url));
  bundle = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
});

afterAll(async () => {
  await client.connection.close();
  await rm(folder, { recursive: true });
});

/** Runs `work` while a worker answers for workflows. */
async function withWorker<T>(work: () => Promise<T>): Promise<T> {
  const connection = await NativeConnection.connect({ address });
  try {
    const worker = await Worker.create({ connection, taskQueue: WORKFLOW_QUEUE, workflowBundle: bundle });
    return await worker.runUntil(work);
  } finally {
    await connection.close();
  }
}

async function asked(text = PROMPTS): Promise<{ store: string; file: string; at: string[] }> {
  const store = await temporaryFolder();
  const file = join(folder, 'prompts.txt');
  writeFileSync(file, text);
  return { store, file, at: ['--store', store, '--address', address] };
}

const runOf = ({ stdout }: Ended): string => stdout.trim();

test('submit prints the id of the run alone, and attaches when it is sent again', async () => {
  const { file, at, store } = await asked();
  await withWorker(async () => {
    const first = await referee(['submit', file, '--seed', '1', ...at]);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(/^r[0-9a-f]{12}\n$/);
    const run = runOf(first);
    expect(readdirSync(join(store, run)).sort()).toEqual(['prompts', 'run.json']);

    const again = await referee(['submit', file, '--seed', '1', ...at]);
    expect(again).toMatchObject({ code: 0, stdout: first.stdout });
    expect(again.stderr).toContain('attached');

    const status = await referee(['status', run, '--json', ...at]);
    expect(status.events).toEqual([
      expect.objectContaining({
        v: 1,
        run,
        state: 'running',
        source: 'workflows',
        counts: { queued: 2, running: 0, done: 0, failed: 0, cancelled: 0 },
      }),
    ]);
    expect(status.stdout).toMatch(/no worker polls the queue referee\.gpu\.default\.[0-9a-f]{8}/);
    const list = await vi.waitUntil(async () => {
      const { events } = await referee(['status', '--json', ...at]);
      return (events[0]!['runs'] as { run: string }[]).find((one) => one.run === run);
    }, 20_000);
    expect(list).toMatchObject({ state: 'running' });
    expect((await referee(['retry', run, ...at])).code).toBe(2);
    await referee(['cancel', run, ...at]);
  });
});

test('pause, resume, cancel and resume again: what is said, and the state after each', async () => {
  const { file, at } = await asked();
  await withWorker(async () => {
    const run = runOf(await referee(['submit', file, '--seed', '2', ...at]));
    const state = async (): Promise<unknown> => (await referee(['status', run, '--json', ...at])).events[0]!['state'];
    const paused = await referee(['pause', run, ...at]);
    expect(paused).toMatchObject({ code: 0, stdout: '' });
    expect(paused.stderr).toContain(`referee resume ${run}`);
    expect(await state()).toBe('paused');
    expect((await referee(['resume', run, ...at])).stderr).toContain('goes on');
    expect(await state()).toBe('running');
    expect((await referee(['resume', run, ...at])).stderr).toContain('nothing to do');

    expect((await referee(['cancel', run, ...at])).code).toBe(0);
    await vi.waitUntil(async () => (await state()) === 'cancelled', 20_000);
    expect((await referee(['watch', run, ...at])).code).toBe(130);
    expect((await referee(['pause', run, ...at])).code).toBe(2);

    const resumed = await referee(['resume', run, '--json', ...at]);
    expect(resumed.events[0]).toMatchObject({ run, begun: 'resumed', plan: { continued: 0, started: 2 } });
    expect((await referee(['status', run, '--json', ...at])).events[0]).toMatchObject({ state: 'running', round: 1 });
    expect((await referee(['cancel', run, '--now', ...at])).code).toBe(0);
    expect(await state()).toBe('cancelled');
  });
});

test('watch ends with the code of the run', async () => {
  const { file, at } = await asked();
  await withWorker(async () => {
    const run = runOf(await referee(['submit', file, '--seed', '3', ...at]));
    const watching = referee(['watch', run, '--json', ...at]);
    await client.workflow.getHandle(batchId(run)).signal(finish, { done: 2, failed: 0 });
    const { code, events } = await watching;
    expect(code).toBe(0);
    expect(events.at(-1)).toMatchObject({ type: 'status', run, state: 'completed', counts: { done: 2 } });
  });
});

test('without a worker the run waits on the server, and status says so in bounded time', async () => {
  const { file, at } = await asked();
  const submitted = await referee(['submit', file, '--seed', '4', ...at]);
  expect(submitted.code).toBe(0);
  expect(submitted.stderr).toContain('no worker polls');
  const { code, events } = await referee(['status', runOf(submitted), '--json', ...at]);
  expect(code).toBe(0);
  expect(events[0]).toMatchObject({ state: 'running', source: 'store', counts: { queued: 2 } });
  await referee(['cancel', runOf(submitted), '--now', ...at]);
});

test('lines that cannot be searched end submit, or are listed', async () => {
  const { file, at } = await asked('a red circle\na purple zebra\n');
  const failed = await referee(['submit', file, ...at]);
  expect(failed).toMatchObject({ code: 2, stdout: '' });
  expect(failed.stderr).toMatch(/prompts\.txt:2: .*"zebra"/);
  const skipped = await referee(['submit', file, '--on-invalid', 'skip', ...at]);
  expect(skipped.code).toBe(0);
  expect(skipped.stderr).toContain('1 rejected');
  const { events } = await referee(['items', runOf(skipped), '--json', ...at]);
  expect(events[0]!['items']).toEqual([
    expect.objectContaining({ state: 'queued', prompt: 'a red circle', index: 0 }),
    expect.objectContaining({ state: 'rejected', line: 2, prompt: 'a purple zebra' }),
  ]);
  const status = await referee(['status', runOf(skipped), '--json', ...at]);
  expect(status.events[0]).toMatchObject({ rejected: 1, items: 1 });
  await referee(['cancel', runOf(skipped), '--now', ...at]);
});

describe('what is not there', () => {
  test.each(['status', 'watch', 'items', 'pause', 'resume', 'cancel', 'retry'])(
    '%s of an unknown run is exit 4 and one line',
    async (command) => {
      const { at } = await asked();
      const { code, stdout, stderr } = await referee([command, 'r000000000000', ...at]);
      expect([code, stdout]).toEqual([4, '']);
      expect(stderr).toMatch(/^error: run r000000000000 [^\n]*\nhint: [^\n]*\n$/);
    },
  );

  test('a server that is away is exit 75 and names the address', async () => {
    const { file, store } = await asked();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const nobody = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    await new Promise((resolve) => taken.close(resolve));
    const { code, stdout, stderr } = await referee(['submit', file, '--store', store, '--address', nobody]);
    expect([code, stdout]).toEqual([75, '']);
    expect(stderr).toContain(`no Temporal server answers at ${nobody}`);
    expect(readdirSync(store)).toEqual([]);
  });
});
