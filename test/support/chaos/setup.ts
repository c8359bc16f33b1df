/**
 * @file What a batch needs, on this machine: Temporal's server on a database file, an S3 server over a folder with a proxy
 * before it that spoils calls, and workers. Everything ends with this object, and with this process.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Client, Connection } from '@temporalio/client';

import { readPlaces } from '../../../cli/config.ts';
import { findProgram } from '../../../cli/dev/find-program.ts';
import { Keeper } from '../../../cli/dev/keeper.ts';
import { LOOPBACK } from '../../../cli/dev/ports.ts';
import { PROGRAMS } from '../../../cli/dev/programs.ts';
import { BUCKET, createBucket, REGION, s3Server, temporalServer } from '../../../cli/dev/servers.ts';
import type { Fault } from '../servers/open-proxy.ts';
import { openFaultyProxy } from '../servers/open-proxy.ts';
import type { FaultyProxy } from '../servers/open-proxy.ts';
import { Server } from '../servers/server.ts';
import { ChaosWorker } from './worker.ts';

export interface SetupOptions {
  readonly workers: number;
  readonly lanes: number;
  /** The command: program and first arguments. */
  readonly referee: readonly [string, ...string[]];
  readonly spoil: (method: string, path: string) => Fault;
  readonly say: (line: string) => void;
}

export interface Setup extends AsyncDisposable {
  readonly temporal: Server;
  readonly s3: Server;
  readonly proxy: FaultyProxy;
  readonly workers: readonly ChaosWorker[];
  readonly client: Client;
  /** As workers name it, and where its objects are as plain files. */
  readonly store: { readonly url: string; readonly folder: string; readonly endpoint: string };
  /** Credentials and region, for a client in this process. */
  readonly env: Readonly<Record<string, string>>;
  /** Aborted when all this ends. */
  readonly closed: AbortSignal;
  /** For logs and whatever else goes with it. */
  readonly folder: string;
  /** Leaves the folder where it is, to be looked at. */
  readonly keep: () => void;
}

export async function openSetup({ workers: count, lanes, referee, spoil, say }: SetupOptions): Promise<Setup> {
  const closing: (() => unknown)[] = [];
  const closed = new AbortController();
  const close = async (): Promise<void> => {
    closed.abort();
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'referee-chaos-'));
    let isKept = false;
    const keep = (): void => void (isKept = true);
    closing.push(() => (isKept ? undefined : rm(folder, { recursive: true, force: true })));
    const places = readPlaces();
    const env = { ...places.variables };
    const [temporalProgram, s3Program] = [
      await findProgram(PROGRAMS.temporal, places, say),
      await findProgram(PROGRAMS.s3, places, say),
    ];
    const temporal = await Server.start((port) => temporalServer({ program: temporalProgram, folder, port, env }));
    closing.push(() => temporal.stop());
    await mkdir(join(folder, 's3'));
    const credentials = { accessKey: 'test', secretKey: randomBytes(16).toString('hex') };
    const s3 = await Server.start((port) => s3Server({ program: s3Program, folder, port, credentials, env }));
    closing.push(() => s3.stop());
    const endpoint = `http://${LOOPBACK}:${s3.port}`;
    await createBucket(endpoint, credentials);
    const bucket = join(folder, 's3', BUCKET);
    const proxy = await openFaultyProxy(endpoint, join(folder, 's3'));
    proxy.always = spoil;
    closing.push(() => proxy[Symbol.asyncDispose]());

    const keeper = new Keeper();
    closing.push(() => keeper[Symbol.dispose]());
    const aws = {
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: credentials.accessKey,
      AWS_SECRET_ACCESS_KEY: credentials.secretKey,
    };
    const address = `${LOOPBACK}:${temporal.port}`;
    const url = `s3://${BUCKET}/runs`;
    const device = ['--provider', 'cpu', '--threads', '1', '--lanes', String(lanes)];
    const words = ['worker', '--address', address, '--store', url, ...device, '--json'] as const;
    const workers = Array.from({ length: count }, (_, at) => {
      const of = { env: { ...env, ...aws, AWS_ENDPOINT_URL_S3: proxy.url }, folder, keeper };
      return new ChaosWorker({ ...of, index: at + 1, command: [...referee, ...words] });
    });
    closing.push(() => Promise.all(workers.map((worker) => worker.end('SIGKILL'))));
    await Promise.all(workers.map((worker) => worker.start()));
    const client = new Client({ connection: await Connection.connect({ address }) });
    closing.push(() => client.connection.close());
    const store = { url, folder: join(bucket, 'runs'), endpoint };
    const processes = { temporal, s3, proxy, workers, client };
    return { ...processes, store, env: aws, folder, keep, closed: closed.signal, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
