/**
 * @file An S3 server with a proxy before it that spoils calls, in `beforeAll`; the variables of the SDK name the server itself
 * until the file's last test.
 */
import { afterFile } from '../after-file.ts';
import { startFaultyProxy } from './faulty-proxy.ts';
import type { FaultyProxy } from './faulty-proxy.ts';
import { startS3 } from './servers.ts';
import type { S3ForTests } from './servers.ts';

export interface FaultyS3 {
  readonly s3: S3ForTests;
  readonly proxy: FaultyProxy;
  /** A new one. */
  readonly bucket: string;
}

export async function startFaultyS3(): Promise<FaultyS3> {
  const before = { ...process.env };
  const s3 = await startS3();
  const proxy = await startFaultyProxy(s3.endpoint, s3.folder);
  Object.assign(process.env, s3.env);
  afterFile(() => (process.env = before));
  return { s3, proxy, bucket: await s3.bucket() };
}
