import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Connection } from '@temporalio/client';
import { expect, onTestFinished, test } from 'vitest';

import { startSetup } from '../../../cli/dev/setup.ts';
import type { Setup, SetupEnv, SetupProcess } from '../../../cli/dev/setup.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { Referee } from '../support/command.ts';
import { idleSetup, isThere, until } from './support.ts';

function clientOf(env: SetupEnv): S3Client {
  return new S3Client({
    endpoint: env.AWS_ENDPOINT_URL_S3,
    region: env.AWS_REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY },
  });
}

async function start(folder: string, started: SetupProcess[] = [], said: string[] = []): Promise<Setup> {
  const setup = await startSetup({
    ...idleSetup(folder),
    say: (line) => said.push(line),
    onProcess: (each) => started.push(each),
  });
  onTestFinished(() => setup[Symbol.asyncDispose]());
  return setup;
}

test('whatever is killed is started again on the same data and address; a second start goes on with both', async () => {
  const folder = await temporaryFolder();
  const [started, said]: [SetupProcess[], string[]] = [[], []];
  const setup = await start(folder, started, said);
  expect(started.map(({ role }) => role).toSorted()).toEqual(['s3', 'temporal', 'worker']);
  const object = { Bucket: 'referee', Key: 'a/b.txt' };
  await clientOf(setup.env).send(new PutObjectCommand({ ...object, Body: 'kept' }));
  expect(readFileSync(join(folder, 's3', 'referee', 'a', 'b.txt'), 'utf8')).toBe('kept');
  expect(statSync(join(folder, 'credentials.json')).mode & 0o777).toBe(0o600);

  const first = setup.processes;
  for (const { pid } of first) process.kill(pid, 'SIGKILL');
  await until(() => started.length === 6);
  expect(
    started
      .slice(3)
      .map(({ role }) => role)
      .toSorted(),
  ).toEqual(['s3', 'temporal', 'worker']);
  expect(said.filter((line) => line.includes('was ended by SIGKILL: starting it again'))).toHaveLength(3);
  const connection = await Connection.connect({ address: setup.env.TEMPORAL_ADDRESS, connectTimeout: '60s' });
  await connection.close();
  await until(async () => (await fetch(setup.env.AWS_ENDPOINT_URL_S3).catch(() => undefined)) !== undefined);

  await setup[Symbol.asyncDispose]();
  expect(setup.processes.filter(({ pid }) => isThere(pid))).toEqual([]);
  expect(readFileSync(join(folder, 'worker-1.log'), 'utf8')).toContain('drained');

  const again = await start(folder);
  expect(again.env).toEqual(setup.env);
  const { Body } = await clientOf(again.env).send(new GetObjectCommand(object));
  expect(await Body!.transformToString()).toBe('kept');
});

test('children end with a parent that is killed, and the folder can be used at once', async () => {
  const folder = await temporaryFolder();
  const script = fileURLToPath(new URL('children/setup.ts', import.meta.url));
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const parent = spawn(process.execPath, ['--import', tsx, script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
  const pids = JSON.parse(line) as number[];
  expect(pids.filter(isThere)).toHaveLength(3);
  parent.kill('SIGKILL');
  await until(() => !pids.some(isThere));
  const setup = await start(folder);
  expect(setup.processes).toHaveLength(3);
});

test('the command prints where everything is, refuses a folder in use, and Ctrl-C ends it with its servers', async () => {
  const folder = join(await temporaryFolder(), 'new');
  const words = ['dev', '--workers', '0', '--dir', folder, '--json'];
  const child = new Referee(words);
  onTestFinished(() => child.kill('SIGKILL'));
  const ready = (await child.event(({ type }) => type === 'ready')) as {
    env: SetupEnv;
    processes: { role: string; pid: number }[];
  };
  expect(Object.keys(ready.env).toSorted()).toEqual([
    'AWS_ACCESS_KEY_ID',
    'AWS_ENDPOINT_URL_S3',
    'AWS_REGION',
    'AWS_SECRET_ACCESS_KEY',
    'REFEREE_STORE',
    'TEMPORAL_ADDRESS',
  ]);
  expect(child.events.filter(({ type }) => type === 'process')).toHaveLength(2);

  const second = await new Referee(words).ended;
  expect(second.code).toBe(2);
  const message = `--dir "${folder}" is in use by another referee dev (pid ${child.process.pid})`;
  expect(second.events).toMatchObject([{ error: { code: 'FolderInUse', message } }]);

  child.kill('SIGINT');
  const { code, stderr } = await child.ended;
  expect([code, stderr]).toEqual([0, 'stopping: workers save their searches; Ctrl-C again stops at once\n']);
  expect(ready.processes.filter(({ pid }) => isThere(pid))).toEqual([]);
  expect(existsSync(join(folder, 'temporal.db'))).toBe(true);
});
