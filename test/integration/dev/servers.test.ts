import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { beforeAll, expect, test } from 'vitest';

import { startS3, startTemporal } from '../../support/servers/servers.ts';
import type { S3ForTests, TemporalForTests } from '../../support/servers/servers.ts';

let s3: S3ForTests;
let temporal: TemporalForTests;

beforeAll(async () => {
  [s3, temporal] = await Promise.all([startS3(), startTemporal()]);
});

test('objects are plain files, and are there after the S3 server was killed and started again', async () => {
  const object = { Bucket: await s3.bucket(), Key: 'a/b.txt' };
  await s3.client.send(new PutObjectCommand({ ...object, Body: 'kept' }));
  expect(readFileSync(join(s3.folder, object.Bucket, object.Key), 'utf8')).toBe('kept');
  const first = s3.server.pid;
  await s3.server.kill();
  await expect(fetch(s3.endpoint)).rejects.toThrow();
  await s3.server.start();
  expect(s3.server.pid).not.toBe(first);
  const { Body } = await s3.client.send(new GetObjectCommand(object));
  expect(await Body!.transformToString()).toBe('kept');
  const wrong = fetch(`${s3.endpoint}/${object.Bucket}/${object.Key}`);
  expect((await wrong).status).toBe(403);
});

test('a namespace is there after the Temporal server was killed and started again', async () => {
  const connection = await Connection.connect({ address: temporal.address });
  const namespace = 'kept';
  await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs('1 day') });
  await temporal.server.kill();
  await temporal.server.start();
  const found = await connection.workflowService.describeNamespace({ namespace });
  expect(found.namespaceInfo?.name).toBe(namespace);
  await connection.close();
});
