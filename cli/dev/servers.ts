/**
 * @file How the two servers are started: Temporal's development server on a database file, and an S3 server whose objects
 * are plain files. Both listen on the loopback alone.
 */
import { join } from 'node:path';

import type { ProcessSpec } from './child.ts';
import { LOOPBACK } from './ports.ts';

export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
}

export interface TemporalPlace {
  readonly program: string;
  /** The database and its logs are in here. */
  readonly folder: string;
  readonly port: number;
  /** Of the web pages; none without one. */
  readonly uiPort?: number;
  readonly env: ProcessSpec['env'];
}

export interface S3Place {
  readonly program: string;
  /** Buckets are folders below `s3` in here. */
  readonly folder: string;
  readonly port: number;
  readonly credentials: Credentials;
  readonly env: ProcessSpec['env'];
}

export const REGION = 'us-east-1';
const HEALTH = '/_health';

export function temporalServer({ program, folder, port, uiPort, env }: TemporalPlace): ProcessSpec {
  const pages = uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort)];
  const argv = ['server', 'start-dev', '--ip', LOOPBACK, '--port', String(port), ...pages];
  return {
    role: 'temporal',
    name: "Temporal's server",
    command: program,
    argv: [...argv, '--db-filename', join(folder, 'temporal.db'), '--log-level', 'warn'],
    env: basics(env),
    log: join(folder, 'temporal.log'),
    isReady: () => hasNamespace(`${LOOPBACK}:${port}`),
  };
}

/** Names the credentials by environment: arguments of a process are seen by every user of the machine. */
export function s3Server({ program, folder, port, credentials, env }: S3Place): ProcessSpec {
  const address = `${LOOPBACK}:${port}`;
  return {
    role: 's3',
    name: 'the S3 server',
    command: program,
    argv: ['--port', address, '--region', REGION, '--health', HEALTH, '--quiet', 'posix', join(folder, 's3')],
    env: {
      ...basics(env),
      ROOT_ACCESS_KEY_ID: credentials.accessKey,
      ROOT_SECRET_ACCESS_KEY: credentials.secretKey,
    },
    log: join(folder, 's3.log'),
    isReady: async () => (await fetch(`http://${address}${HEALTH}`)).ok,
  };
}

/** What any program needs; the rest of the user's environment, credentials among it, is not the servers' business. */
function basics(env: ProcessSpec['env']): Record<string, string | undefined> {
  return Object.fromEntries(['PATH', 'HOME', 'TMPDIR', 'TZ'].map((name) => [name, env[name]]));
}

async function hasNamespace(address: string): Promise<boolean> {
  const { Connection } = await import('@temporalio/client');
  const connection = await Connection.connect({ address, connectTimeout: '2s' });
  try {
    await connection.workflowService.describeNamespace({ namespace: 'default' });
    return true;
  } finally {
    await connection.close();
  }
}

/** Of a setup; results of its runs are plain files below it. */
export const BUCKET = 'referee';

/** Does nothing when it is there. */
export async function createBucket(endpoint: string, { accessKey, secretKey }: Credentials): Promise<void> {
  // Node 20 is what we promise; the SDK's advice to upgrade would stand between our lines.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const { CreateBucketCommand, S3Client } = await import('@aws-sdk/client-s3');
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true, credentials });
  try {
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  } catch (error) {
    const isThere = error instanceof Error && /^BucketAlready(OwnedByYou|Exists)$/.test(error.name);
    if (!isThere) throw error;
  } finally {
    client.destroy();
  }
}
