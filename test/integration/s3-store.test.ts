import { readFileSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { PutObjectCommand } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, test } from 'vitest';

import { isRefereeError } from '../../errors.ts';
import { asItemId, asRunId, checkpointKey, itemKey, manifestKey, promptsKey, runKey } from '../../store/layout.ts';
import type { ObjectKey } from '../../store/layout.ts';
import { FileStore } from '../../store/file-store.ts';
import { sha256 } from '../../store/ids.ts';
import { publish, readResult } from '../../store/run.ts';
import { S3Store } from '../../store/s3-store.ts';
import { exampleResult } from '../store/result-example.ts';
import { temporaryFolder } from '../support/folder.ts';
import type { Fault, FaultyProxy } from '../support/servers/faulty-proxy.ts';
import { startFaultyS3 } from '../support/servers/faulty-s3.ts';
import type { S3ForTests } from '../support/servers/servers.ts';

const run = asRunId('r1');
const item = asItemId('i1');
const image = itemKey(run, item, 'image.png');
const QUICK = { retries: { firstPauseMs: 1, longestPauseMs: 4 } };

let s3: S3ForTests;
let proxy: FaultyProxy;
let bucket: string;

beforeAll(async () => {
  ({ s3, proxy, bucket } = await startFaultyS3());
});

let count = 0;
/** A prefix of its own in the bucket, past the proxy. */
function openDirect(): S3Store {
  return new S3Store(`s3://${bucket}/p${++count}`, QUICK);
}

async function openBehind(options: Partial<ConstructorParameters<typeof S3Store>[1]> = {}): Promise<S3Store> {
  const store = new S3Store(`s3://${bucket}/p${++count}`, { ...QUICK, endpoint: proxy.url, ...options });
  await store.conditionalWrites();
  proxy.seen.length = 0;
  return store;
}

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes);

describe('objects of a bucket', () => {
  test('come back as they were put, and a later put replaces them', async () => {
    const store = openDirect();
    expect(await store.get(image)).toBeUndefined();
    expect(await store.head(image)).toBeUndefined();
    await store.put(image, Uint8Array.of(1, 2, 3));
    await store.put(image, Uint8Array.of(9, 8));
    expect(await store.get(image)).toEqual(Uint8Array.of(9, 8));
    expect(await store.head(image)).toEqual({ bytes: 2 });
    expect(new Uint8Array(readFileSync(join(s3.folder, bucket, `p${count}`, image)))).toEqual(Uint8Array.of(9, 8));
    expect(store.locate(image)).toBe(`s3://${bucket}/p${count}/${image}`);
  });

  test('that are put once keep the first content; of many writers exactly one is told that it wrote', async () => {
    const store = openDirect();
    const told = await Promise.all(
      Array.from({ length: 12 }, (_, i) => store.put(runKey(run), `writer ${i}`, { once: true })),
    );
    expect(told.filter((each) => each === 'written')).toHaveLength(1);
    expect(text(await store.get(runKey(run)))).toBe(`writer ${told.indexOf('written')}`);
  });

  test('that are not there are absent, also when the answer that says so breaks off', async () => {
    const store = await openBehind();
    proxy.faults.push('cut', 'cut');
    expect(await store.get(image)).toBeUndefined();
    expect(proxy.seen).toEqual(['GET cut', 'GET cut', 'GET pass']);
  });

  test('are not written by a later try of a call whose writer has lost the right to write meanwhile', async () => {
    const store = await openBehind();
    let asked = 0;
    const fence = (): void => {
      asked += 1;
      if (asked > 1) throw new Error('given up');
    };
    proxy.faults.push(503);
    await expect(store.put(image, 'late', { fence })).rejects.toThrow();
    expect(asked).toBe(2);
    expect(await store.get(image)).toBeUndefined();
    await store.put(image, 'there');
    proxy.faults.push(503);
    asked = 0;
    await expect(store.delete(image, { fence })).rejects.toThrow();
    expect(text(await store.get(image))).toBe('there');
  });

  test.each(['folder', 'bucket'])('come in ranges, also past their end: %s', async (kind) => {
    const store = kind === 'folder' ? new FileStore(await temporaryFolder()) : openDirect();
    await store.put(image, 'abcdefgh');
    expect(text(await store.get(image, { range: { start: 2, end: 5 } }))).toBe('cde');
    expect(text(await store.get(image, { range: { start: 6, end: 50 } }))).toBe('gh');
    expect(await store.get(image, { range: { start: 8, end: 9 } })).toEqual(new Uint8Array());
    expect(await store.get(runKey(run), { range: { start: 0, end: 1 } })).toBeUndefined();
    await expect(store.get(image, { range: { start: 2, end: 2 } })).rejects.toThrow('range of bytes');
  });

  test('are listed over pages, in the order of a folder, without what is no key', async () => {
    const store = openDirect();
    const folder = new FileStore(await temporaryFolder());
    const many = Array.from({ length: 1003 }, (_, step) => checkpointKey(run, item, step));
    const keys = [
      runKey(run),
      manifestKey(run),
      promptsKey(run, 0),
      image,
      itemKey(run, asItemId('i1-a'), 'spec.json'),
    ];
    // A folder's files are put behind the store's back, which is quicker and has foreign ones among them.
    await store.put(many[0]!, 'x');
    for (const key of [...keys, ...many]) await folder.put(key, '');
    const steps = join(s3.folder, bucket, `p${count}`, 'r1/items/i1/checkpoints');
    for (const key of many.slice(1)) writeFileSync(join(steps, key.split('/').at(-1)!), 'x');
    for (const key of keys) await store.put(key, 'x');
    writeFileSync(join(steps, 'notes.txt'), 'mine');
    for (const prefix of ['', 'r1/', 'r1/items/i1/', 'r2/']) {
      expect(await store.list(prefix)).toEqual(await folder.list(prefix));
    }
    expect(await store.list('r1/')).toHaveLength(1008);
  });

  test('can be deleted twice', async () => {
    const store = openDirect();
    await store.put(image, 'x');
    await store.delete(image);
    await store.delete(image);
    expect(await store.get(image)).toBeUndefined();
  });

  test.each(['../outside', '/etc/passwd', 'r1/../../x', 'r1/items/i1/other.txt'])(
    'are never reached by a key that the layout does not make: %s',
    async (key) => {
      const store = openDirect();
      await expect(store.put(key as ObjectKey, 'x')).rejects.toThrow('not a key of the store');
      await expect(store.get(key as ObjectKey)).rejects.toThrow('not a key of the store');
      await expect(store.list(key)).rejects.toThrow('not a folder of the store');
    },
  );

  test('that were changed in the bucket are told as damaged', async () => {
    const store = openDirect();
    await store.put(image, 'abcd');
    writeFileSync(join(s3.folder, bucket, `p${count}`, image), 'abce');
    await expect(store.get(image)).rejects.toMatchObject({
      code: 'InvalidStore',
      message: expect.stringMatching(/image\.png: is damaged: has digest/) as string,
    });
  });

  test('that another program put, without a digest, can be read', async () => {
    const store = openDirect();
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: `p${count}/${image}`, Body: 'foreign' }));
    expect(text(await store.get(image))).toBe('foreign');
  });

  test('the check before any work leaves nothing', async () => {
    const store = openDirect();
    await store.put(image, 'x');
    await store.check({ bytesNeeded: 1e18 });
    expect((await readdir(join(s3.folder, bucket, `p${count}`), { recursive: true })).filter(isProbe)).toEqual([]);
  });
});

const isProbe = (name: string): boolean => name.includes('probe');

describe('a server or network that fails for a while', () => {
  const passing: Fault[] = [500, 503, 409, 'reset', 'lost-answer'];

  test.each(passing)('does not keep a write from being done once: %s', async (fault) => {
    const store = await openBehind();
    proxy.faults.push(fault, fault);
    expect(await store.put(image, 'x')).toBe('written');
    expect(proxy.seen).toEqual([`PUT ${fault}`, `PUT ${fault}`, 'PUT pass']);
    proxy.faults.push(fault);
    // After a lost answer the server says that the object exists: it is our own, and told so.
    expect(await store.put(runKey(run), 'mine', { once: true })).toBe('written');
    proxy.faults.push(fault);
    expect(await store.put(runKey(run), 'other', { once: true })).toBe('exists');
    expect(text(await store.get(runKey(run)))).toBe('mine');
  });

  test.each<Fault>([500, 503, 'reset', 'lost-answer', 'cut', 'altered'])(
    'does not keep an object from being read, nor a folder from being listed: %s',
    async (fault) => {
      const store = await openBehind();
      await store.put(image, 'x'.repeat(100_000));
      proxy.faults.push(fault, fault);
      expect((await store.get(image))?.length).toBe(100_000);
      if (fault !== 'altered') {
        proxy.faults.push(fault, fault);
        expect(await store.list('r1/')).toEqual([image]);
      }
      if (fault !== 'altered' && fault !== 'cut') {
        proxy.faults.push(fault);
        expect(await store.head(image)).toEqual({ bytes: 100_000 });
        proxy.faults.push(fault);
        await store.delete(image);
        expect(await store.head(image)).toBeUndefined();
      }
    },
  );

  test('that takes calls and does not answer is asked again', async () => {
    const store = await openBehind({ idleMs: 300 });
    proxy.faults.push('hang');
    await store.put(image, 'x');
    proxy.faults.push('hang');
    expect(text(await store.get(image))).toBe('x');
  });

  test('that stays away is told of in one line, as something to try later', async () => {
    const store = await openBehind();
    proxy.always = () => 'reset';
    const failed = { code: 'StoreUnavailable', exit: 75, isRetryable: true };
    await expect(store.put(image, 'x')).rejects.toMatchObject(failed);
    await expect(store.get(image)).rejects.toMatchObject(failed);
    await expect(store.list('r1/')).rejects.toMatchObject(failed);
    await expect(store.check()).rejects.toMatchObject(failed);
    expect(proxy.seen.filter((call) => call.startsWith('GET')).length).toBe(18);
    const nowhere = new S3Store(`s3://${bucket}`, { ...QUICK, endpoint: 'http://127.0.0.1:1' });
    await expect(nowhere.check()).rejects.toMatchObject({
      ...failed,
      message: `store "s3://${bucket}": cannot write, tried 9 times (ECONNREFUSED)`,
    });
  });

  test('is waited for when it is killed and started again', async () => {
    const store = openDirect();
    await store.put(image, 'x');
    await s3.server.kill();
    const patient = new S3Store(store.root);
    const reading = patient.get(image);
    await s3.server.start();
    expect(text(await reading)).toBe('x');
  });

  test('is no longer asked when the caller gives up, in a call and between two', async () => {
    const store = await openBehind({ retries: { firstPauseMs: 60_000, longestPauseMs: 60_000 } });
    for (const fault of ['hang', 503] as const) {
      const giveUp = new AbortController();
      proxy.seen.length = 0;
      proxy.faults.push(fault);
      const reading = expect(store.get(image, { signal: giveUp.signal })).rejects.toMatchObject({
        code: 'Interrupted',
      });
      await expect.poll(() => proxy.seen.length, { timeout: 20_000 }).toBe(1);
      giveUp.abort();
      await reading;
    }
  });
});

describe('a server that does not know conditional writes', () => {
  test.each(['unconditional', 501] as const)('is found out, and what is there stays: %s', async (fault) => {
    proxy.always = () => fault;
    const store = new S3Store(`s3://${bucket}/p${++count}`, { ...QUICK, endpoint: proxy.url });
    expect(await store.conditionalWrites()).toBe(fault === 501 ? 'unsupported' : 'ignored');
    expect(await store.put(runKey(run), 'first', { once: true })).toBe('written');
    expect(await store.put(runKey(run), 'second', { once: true })).toBe('exists');
    expect(text(await store.get(runKey(run)))).toBe('first');
  });

  test('tells the one of many writers at the same time whose bytes stay that it wrote', async () => {
    proxy.always = () => 'unconditional';
    const store = new S3Store(`s3://${bucket}/p${++count}`, { ...QUICK, endpoint: proxy.url });
    const told = await Promise.all(
      Array.from({ length: 12 }, (_, i) => store.put(runKey(run), `writer ${i}`, { once: true })),
    );
    const stays = Number(text(await store.get(runKey(run)))?.replace('writer ', ''));
    expect(told[stays]).toBe('written');
  });

  test('has one result of a double run, and both are answered with it', async () => {
    proxy.always = () => 'unconditional';
    const store = new S3Store(`s3://${bucket}/p${++count}`, { ...QUICK, endpoint: proxy.url });
    const picture = Uint8Array.of(1, 2, 3);
    const digests = { ...exampleResult().digests, image: sha256(picture) };
    const of = (seconds: number) => ({ run, item, result: exampleResult({ digests, seconds }) });
    const both = await Promise.all([publish(store, of(1), picture), publish(store, of(2), picture)]);
    const stored = await readResult(store, run, item);
    expect(both).toContainEqual(stored);
    // Whoever comes later reads what is there and compares the picture with its digest.
    expect(await publish(store, of(3), picture)).toEqual(stored);
    expect(await readResult(store, run, item)).toEqual(stored);
  });
});

describe('what cannot be mended is one line that says what to do', () => {
  test('a bucket that is not there', async () => {
    const store = new S3Store('s3://no-such-bucket/runs', QUICK);
    await expect(store.check()).rejects.toMatchObject({
      code: 'InvalidStore',
      exit: 2,
      message: 'store "s3://no-such-bucket/runs": no such bucket (NoSuchBucket)',
    });
  });

  test('a full bucket, and a call that is not allowed', async () => {
    const store = await openBehind();
    proxy.faults.push(507);
    await expect(store.put(image, 'x')).rejects.toMatchObject({ code: 'StoreFull', exit: 2 });
    proxy.faults.push(403);
    await expect(store.put(image, 'x')).rejects.toMatchObject({
      code: 'InvalidStore',
      message: `store "${store.root}": cannot write, no permission (AccessDenied)`,
      hint: expect.stringContaining('s3:PutObject') as string,
    });
    expect(proxy.seen).toHaveLength(2);
  });

  test.each([
    ['AWS_ACCESS_KEY_ID', 'AKIAUNKNOWN'],
    ['AWS_SECRET_ACCESS_KEY', 'hush-hush'],
  ])('a wrong %s, which is nowhere repeated', async (name, value) => {
    const right = process.env[name];
    process.env[name] = value;
    try {
      const error: unknown = await new S3Store(`s3://${bucket}`, QUICK).check().catch((thrown: unknown) => thrown);
      expect(isRefereeError(error) && [error.code, error.message]).toEqual([
        'InvalidStore',
        expect.stringMatching(/cannot write, no permission \(\w+\)$/),
      ]);
      expect(everythingOf(error)).not.toContain(value);
      expect(everythingOf(error)).not.toContain(s3.credentials.secretKey);
    } finally {
      process.env[name] = right;
    }
  });
});

/** Of an error and all its causes, every property. */
function everythingOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = Object.getOwnPropertyNames(error).map((name) => {
    const value: unknown = Reflect.get(error, name);
    return value instanceof Error ? everythingOf(value) : `${name} ${JSON.stringify(value)}`;
  });
  return own.join('\n');
}
