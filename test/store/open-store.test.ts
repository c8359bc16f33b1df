import { pathToFileURL } from 'node:url';

import { expect, test } from 'vitest';

import { isRefereeError } from '../../errors.ts';
import { FileStore } from '../../store/file-store.ts';
import { asRunId, runKey } from '../../store/layout.ts';
import { openStore } from '../../store/open-store.ts';
import { S3Store } from '../../store/s3-store.ts';
import { temporaryFolder } from '../support/folder.ts';

test('a store can be a folder, a file: URL or a bucket with a prefix', async () => {
  const folder = await temporaryFolder();
  expect(openStore(folder).root).toBe(folder);
  expect(openStore(pathToFileURL(folder).href).root).toBe(folder);
  expect(openStore(folder)).toBeInstanceOf(FileStore);
  const bucket = openStore('s3://bucket/my/runs/');
  expect(bucket).toBeInstanceOf(S3Store);
  expect(bucket.root).toBe('s3://bucket/my/runs');
  expect(bucket.locate(runKey(asRunId('r1')))).toBe('s3://bucket/my/runs/r1/run.json');
  expect(openStore('s3://bucket').locate(runKey(asRunId('r1')))).toBe('s3://bucket/r1/run.json');
});

test.each([
  'https://example.com',
  '',
  '  ',
  'a\0b',
  'file://host/x',
  's3:bucket',
  's3://',
  's3://B',
  's3://ab',
  's3://bucket/../other',
  's3://bucket/a//b',
  's3://bucket/./a',
  's3://bucket/a%2e%2e',
  's3://bucket/a b',
  's3://bucket/a?x=1',
  's3://bucket/a#b',
  's3://bucket/a\\b',
  's3://bucket/a\nb',
  `s3://bucket/${'a/'.repeat(500)}`,
])('a store cannot be %j', (text) => {
  expect(() => openStore(text)).toThrow(expect.objectContaining({ code: 'InvalidStore' }) as Error);
});

test.each(['s3://key:hush@bucket/runs', 'https://key:hush@example.com/runs'])(
  'a password in %s is not repeated',
  (text) => {
    try {
      openStore(text);
      expect.unreachable();
    } catch (error) {
      expect(isRefereeError(error) && error.message).not.toContain('hush');
    }
  },
);
