/**
 * @file The two servers for a test file, in `beforeAll`; they end and their data goes after its last test:
 *
 *     const temporal = await startTemporal();     // temporal.address
 *     const s3 = await startS3();                 // await s3.bucket() is a new one; s3.env for child processes
 *
 * A file has servers of its own, since queues have fixed names and servers are killed in some tests.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { readPlaces } from '../../../cli/config.ts';
import { findProgram } from '../../../cli/dev/find-program.ts';
import { LOOPBACK } from '../../../cli/dev/ports.ts';
import { PROGRAMS } from '../../../cli/dev/programs.ts';
import { REGION, s3Server, temporalServer } from '../../../cli/dev/servers.ts';
import type { Credentials } from '../../../cli/dev/servers.ts';
import { afterFile } from '../after-file.ts';
import { Server } from './server.ts';

export interface TemporalForTests {
  /** `host:port` of its gRPC service. */
  readonly address: string;
  readonly server: Server;
}

export interface S3ForTests {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: Credentials;
  /** What the SDK reads, for child processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Buckets are folders in here, their objects plain files. */
  readonly folder: string;
  readonly server: Server;
  /** A client of the test's own, to look behind the back of what is tested. */
  readonly client: S3Client;
  /** Makes a bucket; its name is answered. */
  bucket(): Promise<string>;
}

/** Temporal's development server on a database file. */
export async function startTemporal(): Promise<TemporalForTests> {
  const { folder, program, env } = await prepare('temporal');
  const server = await Server.start((port) => temporalServer({ program, folder, port, env }));
  endAfterTests(server, folder);
  return { address: `${LOOPBACK}:${server.port}`, server };
}

/** An S3 server over a folder. */
export async function startS3(): Promise<S3ForTests> {
  const { folder, program, env } = await prepare('s3');
  const objects = join(folder, 's3');
  await mkdir(objects);
  const credentials = { accessKey: 'test', secretKey: randomBytes(16).toString('hex') };
  const server = await Server.start((port) => s3Server({ program, folder, port, credentials, env }));
  endAfterTests(server, folder);

  const endpoint = `http://${LOOPBACK}:${server.port}`;
  const client = new S3Client({
    endpoint,
    region: REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: credentials.accessKey, secretAccessKey: credentials.secretKey },
  });
  return {
    endpoint,
    region: REGION,
    credentials,
    env: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: credentials.accessKey,
      AWS_SECRET_ACCESS_KEY: credentials.secretKey,
    },
    folder: objects,
    server,
    client,
    bucket: async () => {
      const name = `test-${randomBytes(6).toString('hex')}`;
      await client.send(new CreateBucketCommand({ Bucket: name }));
      return name;
    },
  };
}

async function prepare(
  name: keyof typeof PROGRAMS,
): Promise<{ folder: string; program: string; env: Record<string, string | undefined> }> {
  const places = readPlaces();
  const program = await findProgram(PROGRAMS[name], places, (line) => process.stderr.write(`${line}\n`));
  return { program, folder: await mkdtemp(join(tmpdir(), `referee-${name}-`)), env: { ...places.variables } };
}

function endAfterTests(server: Server, folder: string): void {
  afterFile(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
}
