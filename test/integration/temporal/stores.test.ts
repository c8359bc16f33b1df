import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { temporaryFolder } from '../../support/folder.ts';
import type { FaultyProxy } from '../../support/servers/faulty-proxy.ts';
import { startFaultyS3 } from '../../support/servers/faulty-s3.ts';
import { startTemporal } from '../../support/servers/servers.ts';
import type { S3ForTests } from '../../support/servers/servers.ts';
import { batchId, WORKFLOW_QUEUE } from '../../../workflows/ids.ts';
import type { BatchInput } from '../../../workflows/messages.ts';
import { batchInput } from '../../../remote/batches.ts';
import { openPack } from '../../../models/packs/resolve.ts';
import { referee } from '../support/command.ts';
import type { Ended } from '../support/command.ts';
import { connectClient, WorkerProcess } from './support/batches.ts';

let address: string;
let s3: S3ForTests;
/** Between the workers and the store; the commands of the tests go to the store itself. */
let proxy: FaultyProxy;
let own: WorkerProcess;
let store: string;

beforeAll(async () => {
  ({ address } = await startTemporal());
  const faulty = await startFaultyS3();
  ({ s3, proxy } = faulty);
  store = `s3://${faulty.bucket}`;
  own = await WorkerProcess.start(address, store, [], { env: { AWS_ENDPOINT_URL_S3: proxy.url } });
});

afterAll(async () => {
  await own.stop('SIGKILL');
});

const at = (...words: string[]): Promise<Ended> => referee([...words, '--store', store, '--address', address]);

async function submitted(prompt: string, steps: number): Promise<string> {
  const file = join(await temporaryFolder(), 'prompts.txt');
  writeFileSync(file, `${prompt}\n`);
  const words = ['submit', file, '--method', 'distil', '--steps', String(steps), '--no-previews'];
  return (await at(...words)).stdout.trim();
}

test('a store that loses its permissions in the middle: attempts are made again until it has them', async () => {
  own.said = '';
  const run = await submitted('a red circle', 400);
  await own.saying('"checkpoint"');
  proxy.always = () => 403;
  await own.saying('no permission (AccessDenied)');
  expect((await at('status', run)).stdout).toContain('running, 1 running');
  proxy.always = () => 'pass';
  expect((await at('watch', run)).code).toBe(0);
});

test('a store that is away in the middle: the run goes on when it is there again', async () => {
  own.said = '';
  const run = await submitted('a green square', 400);
  await own.saying('"checkpoint"');
  proxy.always = () => 'reset';
  await own.saying('"code":"StoreUnavailable"');
  proxy.always = () => 'pass';
  expect((await at('watch', run)).code).toBe(0);
});

test('a store that is away at submit: exit 75, one line, and the server hears of nothing', async () => {
  await s3.server.kill();
  const { code, stdout, stderr } = await at('submit', 'a blue cross');
  expect([code, stdout]).toEqual([75, '']);
  expect(stderr).toMatch(/^error: store "s3:[^"]+": cannot \w+, tried \d+ times \(\w+\)\nhint: [^\n]+\n$/);
  await s3.server.start();
});

test('results that cannot be summed up: the run has failed, says why, and resume finishes it', async () => {
  const run = await submitted('a yellow triangle', 4);
  expect((await at('watch', run)).code).toBe(0);
  // The same run once more, as if its manifest had never been written, with few and quick attempts.
  const { digest } = await openPack('shapes');
  const round = { round: 1, retryFailed: false };
  const tuning = { retrySeconds: 0.2, ioAttempts: 2 };
  const input: BatchInput = { ...batchInput({ run, items: 1, packDigest: digest }, {}, round), tuning };
  proxy.always = (method, path) => (method === 'PUT' && path.includes('manifest') ? 403 : 'pass');
  const client = await connectClient(address);
  const started = { workflowId: batchId(run), taskQueue: WORKFLOW_QUEUE, args: [input] };
  const handle = await client.workflow.start('batch', started);
  await expect(handle.result()).rejects.toMatchObject({ name: 'WorkflowFailedError' });
  await client.connection.close();

  const why = 'the results could not be summed up in the store';
  const status = await at('status', run, '--json');
  expect(status.events[0]).toMatchObject({ state: 'failed', error: { code: 'InvalidStore', message: why } });
  expect((await at('status', run)).stdout).toContain(
    `error    InvalidStore: ${why}; go on with: referee resume ${run}\n`,
  );
  const watched = await at('watch', run);
  expect([watched.code, watched.stdout]).toEqual([3, '']);
  expect(watched.stderr).toContain(`error: run ${run} failed: ${why} (InvalidStore); 1 of 1 done\n`);

  proxy.always = () => 'pass';
  expect((await at('resume', run)).code).toBe(0);
  expect((await at('watch', run)).code).toBe(0);
  expect((await at('status', run, '--json')).events[0]).toMatchObject({ state: 'completed', round: 2 });
});
