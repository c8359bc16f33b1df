import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { startS3 } from '../../support/servers/servers.ts';
import type { S3ForTests } from '../../support/servers/servers.ts';
import { ONE_DEVICE, referee } from '../support/command.ts';

let s3: S3ForTests;
const before = process.env;

beforeAll(async () => {
  s3 = await startS3();
  process.env = { ...before, ...s3.env };
});

afterAll(() => {
  process.env = before;
});

test('a run in a bucket is verified, and what is wrong there is named', async () => {
  const bucket = await s3.bucket();
  const store = ['--store', `s3://${bucket}/my/runs`];
  const argv = ['run', 'a red circle', '--seeds', '1-3', '--method', 'distil', '--steps', '4', ...store, ...ONE_DEVICE];
  expect((await referee(argv)).code).toBe(0);
  const folder = join(s3.folder, bucket, 'my/runs');
  const [run] = readdirSync(folder) as [string];
  const right = await referee(['verify', run, '--replay', '1', '--threads', '1', ...store]);
  expect(right).toMatchObject({ code: 0, stdout: expect.stringContaining('replayed  1 of 1 have') as string });

  // Behind the server's back: one picture changed, one result gone, one object that nobody knows.
  const [first, second] = readdirSync(join(folder, run, 'items')) as [string, string];
  const picture = join(folder, run, 'items', first, 'image.png');
  const bytes = readFileSync(picture);
  bytes[100]! ^= 1;
  writeFileSync(picture, bytes);
  rmSync(join(folder, run, 'items', second, 'result.json'));
  writeFileSync(join(folder, run, 'items', second, 'notes.txt'), 'x');
  const wrong = await referee(['verify', run, '--replay', '0', '--json', ...store]);
  expect(wrong.code).toBe(3);
  const faults = wrong.events[0]!['faults'] as { key: string }[];
  expect(faults.map(({ key }) => key).toSorted()).toEqual(
    [`${first}/image.png`, `${second}/notes.txt`, `${second}/result.json`]
      .map((key) => `${run}/items/${key}`)
      .toSorted(),
  );
  expect((await referee(['verify', 'r000000000000', ...store])).code).toBe(4);
});
