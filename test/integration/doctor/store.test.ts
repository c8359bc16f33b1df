import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { PutObjectCommand } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import type { Finding } from '../../../activities/doctor/finding.ts';
import { checkStore } from '../../../activities/doctor/store.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { canMount, makeReadOnly, mountedFolder } from '../../support/mount.ts';
import type { FaultyProxy } from '../../support/servers/faulty-proxy.ts';
import { startFaultyS3 } from '../../support/servers/faulty-s3.ts';
import type { S3ForTests } from '../../support/servers/servers.ts';

const QUICK = { retries: { firstPauseMs: 1, longestPauseMs: 4, attempts: 3 } };
/** Older than any doctor takes. */
const OLD = `.probe-${(Date.now() - 7_200_000).toString(36)}-0123456789ab`;
const YOUNG = `.probe-${Date.now().toString(36)}-0123456789ab`;

interface Checking {
  readonly endpoint?: string;
  readonly signal?: AbortSignal;
  readonly onFinding?: (finding: Finding) => void;
}

async function check(location: string, { endpoint, signal, onFinding }: Checking = {}): Promise<Finding[]> {
  const findings: Finding[] = [];
  await checkStore({
    location,
    signal: signal ?? new AbortController().signal,
    onFinding: (finding) => {
      findings.push(finding);
      onFinding?.(finding);
    },
    s3: { ...QUICK, ...(endpoint !== undefined && { endpoint }) },
  });
  return findings;
}

const problems = (findings: readonly Finding[]): Finding[] => findings.filter(({ state }) => state !== 'ok');
const named = (findings: readonly Finding[], name: string): Finding | undefined =>
  findings.find((finding) => finding.name === name);

const ALL = [
  'store',
  'store reading',
  'store ranges',
  'store checksums',
  'store listing',
  'store conditional writes',
  'store space',
  'store deleting',
];

describe('a folder', () => {
  test('that does not exist is fit for runs, and does not exist afterwards', async () => {
    const root = join(await temporaryFolder(), 'a', 'b');
    const findings = await check(root);
    expect(findings.map(({ name, state }) => [name, state])).toEqual(ALL.map((name) => [name, 'ok']));
    expect(named(findings, 'store conditional writes')?.found).toMatch(/1 was told to have written$/);
    expect(existsSync(join(root, '..'))).toBe(false);
  });

  test('keeps what is in it, but for probes of a process that was killed long ago', async () => {
    const root = await temporaryFolder();
    writeFileSync(join(root, 'mine.txt'), 'mine');
    for (const name of [OLD, YOUNG]) mkdirSync(join(root, name, 'probe'), { recursive: true });
    expect(problems(await check(root))).toEqual([]);
    expect(readdirSync(root).sort()).toEqual([YOUNG, 'mine.txt'].sort());
  });

  test('that is a file is told of as such', async () => {
    const file = join(await temporaryFolder(), 'file');
    writeFileSync(file, 'x');
    expect(await check(file)).toEqual([
      expect.objectContaining({
        state: 'error',
        code: 'InvalidStore',
        found: expect.stringContaining('found a file') as string,
      }),
    ]);
  });

  test.skipIf(!canMount)('that is full, and one that is read-only', async () => {
    const full = mountedFolder('64k');
    writeFileSync(join(full, 'filler'), new Uint8Array(50_000));
    expect(await check(full)).toEqual([expect.objectContaining({ name: 'store', state: 'error', code: 'StoreFull' })]);
    expect(readdirSync(full)).toEqual(['filler']);
    const small = mountedFolder('1m');
    expect(problems(await check(small))).toEqual([expect.objectContaining({ name: 'store space', state: 'warning' })]);
    makeReadOnly(small);
    const [finding, ...more] = await check(small);
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ state: 'error', fix: 'choose another folder with --store' });
    expect(finding?.found).toContain('(EROFS)');
  });

  test('a text that names no store is a finding too, without what may be a password', async () => {
    const [finding] = await check('https://key:hush@example.com/runs');
    expect(finding).toMatchObject({ state: 'error', code: 'InvalidStore' });
    expect(JSON.stringify(finding)).not.toContain('hush');
  });
});

describe('a bucket', () => {
  let s3: S3ForTests;
  let proxy: FaultyProxy;
  let bucket: string;
  let count = 0;

  beforeAll(async () => {
    ({ s3, proxy, bucket } = await startFaultyS3());
  });

  const next = (): string => `s3://${bucket}/p${++count}`;
  /** Files of all objects that are there. */
  const objects = (): string[] =>
    readdirSync(join(s3.folder, bucket), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name);
  const behind = (location = next()): Promise<Finding[]> => check(location, { endpoint: proxy.url });

  test('of a server that does everything is fit for runs, and empty afterwards', async () => {
    for (const location of [next(), `s3://${bucket}`]) {
      const findings = await check(location);
      expect(findings.map(({ name, state }) => [name, state])).toEqual(ALL.map((name) => [name, 'ok']));
      expect(findings[0]?.found).toContain(`${location} at ${s3.endpoint}`);
      const conditional = named(findings, 'store conditional writes');
      expect(conditional?.found).toContain('the second write gets PreconditionFailed');
      expect(conditional?.facts).toEqual({ writers: 4, written: 1, conditionalWrites: 'kept' });
    }
    expect(objects()).toEqual([]);
  });

  test.each([
    ['unconditional', 'conditional writes are ignored: the second write gets no error', 'ignored'],
    [501, 'conditional writes are refused (NotImplemented)', 'unsupported'],
  ] as const)(
    'of a server without conditions (%s) is told with what follows for runs',
    async (fault, found, writes) => {
      proxy.always = () => fault;
      const findings = await behind();
      const conditional = named(findings, 'store conditional writes');
      expect(problems(findings)).toEqual([conditional]);
      expect(conditional).toMatchObject({ state: 'warning', facts: { conditionalWrites: writes } });
      expect(conditional?.found).toContain(found);
      expect(conditional?.found).toContain('results of double runs are read back and compared');
      expect(objects()).toEqual([]);
    },
  );

  test('of a server that drops metadata, of one with late listings, of one that alters bytes', async () => {
    proxy.always = () => 'no-metadata';
    expect(problems(await behind()).map(({ name }) => name)).toContain('store checksums');
    proxy.always = (method, path) => (method === 'GET' && path.includes('list-type') ? 'empty-listing' : 'pass');
    expect(problems(await behind()).map(({ name }) => name)).toContain('store listing');
    proxy.always = (method, path) => (method === 'GET' && !path.includes('list-type') ? 'altered' : 'pass');
    const reading = named(await behind(), 'store reading');
    expect(reading).toMatchObject({ state: 'error', code: 'InvalidStore' });
    expect(reading?.found).toMatch(/is damaged: has digest/);
  });

  const isListing = (path: string): boolean => path.includes('list-type');
  test.each([
    ['PUT', 'store', (method: string) => method === 'PUT'],
    ['GET of objects', 'store reading', (method: string, path: string) => method === 'GET' && !isListing(path)],
    ['listing', 'store listing', (_: string, path: string) => isListing(path)],
    ['DELETE', 'store deleting', (method: string) => method === 'DELETE'],
  ])('without the permission of %s', async (_, name, isDenied) => {
    const location = next();
    proxy.always = (method, path) => (isDenied(method, path) ? 403 : 'pass');
    const finding = named(await behind(location), name);
    expect(finding).toMatchObject({ state: 'error', code: 'InvalidStore' });
    expect(finding?.fix).toMatch(/s3:(PutObject|GetObject|ListBucket|DeleteObject)/);
    if (name === 'store deleting') expect(finding?.found).toMatch(/of the probes \d are left: p\d+\/\.probe-/);
  });

  test('deletes what an earlier process left that was killed, and nothing of one that may live', async () => {
    const location = next();
    for (const name of [OLD, YOUNG]) {
      await s3.client.send(
        new PutObjectCommand({ Bucket: bucket, Key: `p${count}/${name}/probe/run.json`, Body: 'x' }),
      );
    }
    expect(problems(await check(location))).toEqual([]);
    const left = readdirSync(join(s3.folder, bucket, `p${count}`));
    expect(left).toContain(YOUNG);
    expect(left).not.toContain(OLD);
  });

  test('is left without probes when checks fail half way, and when they are given up', async () => {
    const [before] = [objects().length];
    for (let call = 1; call <= 12; call += 1) {
      let calls = 0;
      // Three tries of one call fail, whatever it is.
      proxy.always = () => (++calls >= call && calls < call + 3 ? 'reset' : 'pass');
      await behind();
      expect(objects(), `call ${call}`).toHaveLength(before);
    }
    proxy.always = () => 'pass';
    for (const name of ALL.slice(0, -1)) {
      const giveUp = new AbortController();
      const findings: string[] = [];
      const checking = check(next(), {
        signal: giveUp.signal,
        onFinding: (finding) => {
          findings.push(finding.name);
          if (finding.name === name) giveUp.abort();
        },
      });
      if (name === 'store space') await checking;
      else await expect(checking).rejects.toThrow();
      expect(objects(), name).toHaveLength(before);
    }
  });

  test('that is not there, a server that is not there, an endpoint that is none', async () => {
    expect(await check('s3://no-such-bucket/runs')).toEqual(
      [
        {
          name: 'store',
          state: 'error',
          code: 'InvalidStore',
          found: 'store "s3://no-such-bucket/runs": no such bucket (NoSuchBucket)',
          fix: 'create the bucket, or check AWS_REGION and AWS_ENDPOINT_URL',
        },
      ].map((finding) => ({ ...finding, found: expect.stringContaining('no such bucket (NoSuchBucket)') as string })),
    );
    expect(await check(next(), { endpoint: 'http://127.0.0.1:1' })).toEqual([
      {
        name: 'store',
        state: 'error',
        code: 'StoreUnavailable',
        found: expect.stringContaining('(ECONNREFUSED)') as string,
        fix: 'start the server, or set AWS_ENDPOINT_URL_S3 to the URL where it answers',
      },
    ]);
    const [noUrl] = await check(next(), { endpoint: 'user:hush@localhost' });
    expect(noUrl).toMatchObject({ state: 'error', fix: expect.stringContaining('AWS_ENDPOINT_URL_S3') as string });
    expect(JSON.stringify(noUrl)).not.toContain('hush');
  });

  test('at a server of something else', async () => {
    const server = createServer((request, response) => request.resume().on('end', () => response.end('hello')));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const findings = await check(next(), { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    expect(named(findings, 'store reading')).toMatchObject({
      state: 'error',
      fix: expect.stringContaining('names no S3 server') as string,
    });
  });

  test.each([
    ['AWS_ACCESS_KEY_ID', 'AKIAUNKNOWN'],
    ['AWS_SECRET_ACCESS_KEY', 'hush-hush'],
    ['AWS_REGION', 'eu-nowhere-9'],
  ])('with a wrong %s is one finding with a fix and without a secret', async (name, value) => {
    const right = process.env[name];
    process.env[name] = value;
    onTestFinished(() => void (process.env[name] = right));
    const findings = await check(next());
    expect(findings).toEqual([expect.objectContaining({ name: 'store', state: 'error', code: 'InvalidStore' })]);
    expect(findings[0]?.fix).toMatch(
      name === 'AWS_REGION' ? /AWS_REGION/ : /AWS_SECRET_ACCESS_KEY .* wrong or have expired/,
    );
    expect(JSON.stringify(findings)).not.toContain(value);
    expect(JSON.stringify(findings)).not.toContain(s3.credentials.secretKey);
  });
});
