import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { openRun } from '../../index.ts';
import { sha256 } from '../../store/ids.ts';
import type { FaultyProxy } from '../support/servers/faulty-proxy.ts';
import { startFaultyS3 } from '../support/servers/faulty-s3.ts';
import type { S3ForTests } from '../support/servers/servers.ts';
import { ONE_DEVICE, Referee, referee } from './support/command.ts';
import { lasting } from './support/runs.ts';
import { tornFiles } from './support/whole-files.ts';

const PROMPTS = ['a red circle', 'a green square'];
const METHOD = ['--method', 'distil', '--steps', '12', '--checkpoint-every', '4'];
const SETTINGS = [...METHOD, '--seeds', '7', '--previews', ...ONE_DEVICE];

let s3: S3ForTests;
let proxy: FaultyProxy;
let folder: string;
let input: string;
let undisturbed: ReturnType<typeof lasting>;

beforeAll(async () => {
  ({ s3, proxy } = await startFaultyS3());
  folder = mkdtempSync(join(tmpdir(), 'referee-s3-run-'));
  input = join(folder, 'prompts.jsonl');
  writeFileSync(input, PROMPTS.map((prompt) => `${JSON.stringify({ prompt, tags: ['t'] })}\n`).join(''));
  expect((await referee(['run', input, '--store', join(folder, 'plain'), ...SETTINGS])).code).toBe(0);
  undisturbed = lasting(join(folder, 'plain'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What a bucket holds, as a folder of plain files. */
function asFolder(bucket: string, prefix: string): string {
  const copy = mkdtempSync(join(folder, 'copy-'));
  cpSync(join(s3.folder, bucket, prefix), copy, { recursive: true });
  return copy;
}

test('a run in a bucket leaves the same files, byte for byte, as one in a folder; again there is nothing to do', async () => {
  const bucket = await s3.bucket();
  const words = ['run', input, '--store', `s3://${bucket}/my/runs`, ...SETTINGS];
  const first = await referee(words);
  expect([first.code, first.stdout]).toEqual([0, expect.stringContaining(`s3://${bucket}/my/runs/r`)]);
  expect(lasting(asFolder(bucket, 'my/runs'))).toEqual(undisturbed);
  expect(Object.keys(undisturbed).some((file) => file.endsWith('.webp'))).toBe(true);
  expect(readdirSync(join(s3.folder, bucket, 'my/runs'))).toHaveLength(1);
  expect(await referee(words)).toMatchObject({ code: 0, stderr: expect.stringContaining('nothing to do') as string });
});

test('a run that is killed goes on from the bucket, through a server that fails, with the same bytes', async () => {
  const bucket = await s3.bucket();
  const words = ['run', input, '--store', `s3://${bucket}`, ...SETTINGS, '--lanes', '1', '--json'];
  const killed = new Referee(words);
  await killed.event(({ type, step }) => type === 'checkpoint' && step === 8);
  killed.kill('SIGKILL');
  expect((await killed.ended).code).toBeNull();

  const faults = [500, 503, 'reset', 'lost-answer', 'cut', 409] as const;
  let calls = 0;
  proxy.always = () => (++calls % 5 === 0 ? faults[(calls / 5) % faults.length]! : 'pass');
  process.env['AWS_ENDPOINT_URL_S3'] = proxy.url;
  try {
    const again = await referee(words);
    expect(again.code).toBe(0);
    expect(again.events.find(({ type }) => type === 'start')).toMatchObject({ step: 8 });
  } finally {
    process.env['AWS_ENDPOINT_URL_S3'] = s3.endpoint;
  }
  expect(calls).toBeGreaterThan(50);
  const copy = asFolder(bucket, '');
  expect(lasting(copy)).toEqual(undisturbed);
  expect(tornFiles(copy)).toEqual([]);
});

test('the library reads and continues a run of the command in a bucket', async () => {
  const bucket = await s3.bucket();
  const store = `s3://${bucket}/lib`;
  expect((await referee(['run', PROMPTS[0]!, '--store', store, ...SETTINGS])).code).toBe(0);
  const options = { method: 'distil', steps: 12 } as const;
  await using run = await openRun({
    input: PROMPTS.map((prompt) => ({ prompt, seed: 7 })),
    options,
    store,
    threads: 1,
  });
  const digests: string[] = [];
  for await (const result of run.results({ order: 'input' })) {
    if (!result.ok) throw result.error;
    digests.push(sha256(await result.image()));
    expect(result.path).toMatch(new RegExp(`^${store}/`));
  }
  const images = Object.keys(undisturbed).filter((file) => file.endsWith('image.png'));
  const expected = images.map((file) => sha256(readFileSync(join(folder, 'plain', file))));
  expect(digests.toSorted()).toEqual(expected.toSorted());
});

test('a store that is away is exit code 75 and one line', async () => {
  process.env['AWS_ENDPOINT_URL_S3'] = 'http://127.0.0.1:1';
  try {
    const found = await referee(['run', PROMPTS[0]!, '--store', 's3://bucket/x', ...SETTINGS]);
    expect([found.code, found.stdout]).toEqual([75, '']);
    expect(found.stderr).toMatch(
      /^error: store "s3:\/\/bucket\/x": cannot read, tried 9 times \(ECONNREFUSED\)\nhint: /m,
    );
  } finally {
    process.env['AWS_ENDPOINT_URL_S3'] = s3.endpoint;
  }
});
