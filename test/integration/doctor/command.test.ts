import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Finding } from '../../../activities/doctor/finding.ts';
import { BenchmarkSchema } from '../../../activities/benchmarks.ts';
import { packsFolder } from '../../../models/packs/resolve.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { startTemporal } from '../../support/servers/servers.ts';
import type { TemporalForTests } from '../../support/servers/servers.ts';
import { ONE_DEVICE, referee, Referee } from '../support/command.ts';
import type { Ended } from '../support/command.ts';
import { WorkerProcess } from '../temporal/support/batches.ts';

const NOBODY = '127.0.0.1:1';

interface Document {
  readonly v: number;
  readonly state: string;
  readonly findings: readonly Finding[];
  readonly benchmark?: unknown;
}

function documentOf({ stdout }: Ended): Document {
  return JSON.parse(stdout) as Document;
}

const named = ({ findings }: Document, name: string): Finding | undefined =>
  findings.find((finding) => finding.name === name);

describe('referee doctor', () => {
  test('finds this machine fit, as one document, and leaves nothing in a store that was not there', async () => {
    const store = join(await temporaryFolder(), 'runs');
    const ended = await referee(['doctor', ...ONE_DEVICE, '--store', store, '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const document = documentOf(ended);
    expect(document).toMatchObject({ v: 1, state: 'warning' });
    expect(document.findings.filter(({ state }) => state !== 'ok').map(({ name }) => name)).toEqual(['temporal']);
    expect(named(document, 'temporal')?.found).toContain('needed for submit only');
    expect(named(document, 'versions')?.facts).toMatchObject({ node: process.versions.node });
    expect(named(document, 'provider cpu')?.facts).toMatchObject({ threads: 1, plan: 'fused' });
    expect(named(document, 'provider cpu')?.facts?.['stepSeconds']).toBeGreaterThan(0);
    // What a step of the pack needs, as `run` says it before it begins.
    expect(named(document, 'memory')?.facts?.['neededBytes']).toBeGreaterThan(3e8);
    expect(named(document, 'pack')?.facts).toMatchObject({ name: 'shapes', licence: 'Apache-2.0' });
    expect(existsSync(store)).toBe(false);
  });

  test('tells people a line a finding and a line a fix, and fails with 2 where something cannot be used', async () => {
    const pack = join(await temporaryFolder(), 'pack');
    cpSync(join(await packsFolder(), 'shapes'), pack, { recursive: true });
    const config = join(pack, 'unet', 'config.json');
    writeFileSync(config, readFileSync(config, 'utf8').replace('{', '{ '));
    const file = join(await temporaryFolder(), 'file');
    writeFileSync(file, 'x');
    const ended = await referee(['doctor', ...ONE_DEVICE, '--pack', pack, '--store', file]);
    expect(ended.code).toBe(2);
    expect(ended.stdout).toMatch(/^error {4}pack: .*unet\/config\.json: found \d+ bytes, expected \d+ bytes/m);
    expect(ended.stdout).toMatch(/^error {4}store: .* must be a folder, found a file$/m);
    expect(ended.stdout).toMatch(/^ok {7}provider cpu: passed its self-test$/m);
    for (const line of ended.stdout.trimEnd().split('\n')) {
      expect(line).toMatch(/^(ok {7}|warning {2}|error {4})[a-z0-9 ]+: \S|^ {9}fix: \S/);
    }
    expect(ended.stderr).toMatch(
      /^error: 2 of \d+ findings are errors\nhint: every finding that is an error names its fix\n$/,
    );
  });

  test('fails with 75 where only something that may come back is missing', async () => {
    const store = await temporaryFolder();
    const ended = await referee(['doctor', ...ONE_DEVICE, '--store', store, '--address', NOBODY, '--json']);
    expect(ended.code).toBe(75);
    expect(named(documentOf(ended), 'temporal')).toMatchObject({ state: 'error', code: 'ServerUnavailable' });
  });

  test('names what to do about a provider that was asked for and is not there', async () => {
    const store = await temporaryFolder();
    const ended = await referee(['doctor', '--provider', 'coreml', '--store', store, '--json']);
    expect(ended.code).toBe(2);
    const finding = named(documentOf(ended), 'provider coreml');
    expect(finding).toMatchObject({ state: 'error', code: 'ProviderNotAvailable' });
    expect(finding?.fix).toContain('docs/how-to/gpus.md');
  });

  test.each([
    [['--lanes', '0'], '--lanes: expected a whole number from 1 to 256, found "0"'],
    [['--provider', 'cdua'], 'did you mean "cuda"?'],
    [['prompts.txt'], 'expected'],
  ])('does nothing for a call that is wrong: %j', async (argv, message) => {
    const ended = await referee(['doctor', ...argv, '--json']);
    expect(ended.code).toBe(2);
    expect(ended.stdout).toContain(message.replaceAll('"', '\\"'));
  });

  test('stops at Ctrl-C and leaves no probe', async () => {
    const store = await temporaryFolder();
    const child = new Referee(['doctor', ...ONE_DEVICE, '--store', store]);
    // Before the store's turn, while the models are loaded.
    await child.stdoutHas('pack: shapes');
    child.kill('SIGINT');
    const { code, stderr } = await child.ended;
    expect(stderr).toContain('stopping after the check under way');
    expect(code).toBe(130);
    expect(readdirSync(store)).toEqual([]);
  });
});

describe('referee doctor --benchmark', () => {
  test('measures once, and a run with the same pack, provider and threads says how long it will take', async () => {
    const [cache, store] = [await temporaryFolder(), await temporaryFolder()];
    const run = ['run', 'a red circle', '--seeds', '1,2', '--steps', '2', '--store', store, ...ONE_DEVICE];
    const words = ['doctor', ...ONE_DEVICE, '--lanes', '2', '--store', store, '--json'];
    const ended = await referee([...words, '--benchmark'], { cache });
    expect(ended.code).toBe(0);
    const { findings, benchmark } = documentOf(ended);
    const kept = BenchmarkSchema.parse(benchmark);
    expect(kept).toMatchObject({ provider: 'cpu', threads: 1, steps: [{ lanes: 1 }, { lanes: 2 }] });
    // A search step computes what one without the referee computes, and more.
    for (const { search, distil } of kept.steps) expect(search).toBeGreaterThan(distil);
    const [file] = readdirSync(join(cache, 'benchmarks'));
    expect(JSON.parse(readFileSync(join(cache, 'benchmarks', file!), 'utf8'))).toEqual(kept);
    expect(findings.find(({ name }) => name === 'benchmark')?.found).toContain(file);

    const again = await referee(run, { cache });
    expect(again.code).toBe(0);
    const date = kept.date.slice(0, 10);
    expect(again.stderr).toMatch(
      new RegExp(`2 images \\(2 start\\), about \\d+ s, from referee doctor --benchmark of ${date}$`, 'm'),
    );
    const later = documentOf(await referee(words, { cache }));
    expect(named(later, 'benchmark')?.found).toContain(`measured ${date}`);
  });
});

describe('with a Temporal server', () => {
  let temporal: TemporalForTests;
  let store: string;
  beforeAll(async () => {
    temporal = await startTemporal();
    store = await mkdtemp(join(tmpdir(), 'referee-doctor-'));
  });
  afterAll(() => rm(store, { recursive: true }));
  const doctor = (...more: string[]): Promise<Ended> =>
    referee(['doctor', ...ONE_DEVICE, '--store', store, '--address', temporal.address, '--json', ...more]);

  test('its version and namespace are told, and that no worker asks for work', async () => {
    const ended = await doctor();
    expect(ended.code).toBe(0);
    const document = documentOf(ended);
    const { found } = named(document, 'temporal')!;
    expect(found).toMatch(/^server \d+\.\d+\.\d+ answers at .*, namespace default$/);
    const workers = named(document, 'temporal workers');
    expect(workers).toMatchObject({ state: 'warning' });
    expect(workers?.found).toMatch(
      /no worker asks for work at referee\.workflows, referee\.io, referee\.gpu\.default\.[0-9a-f]{8}:/,
    );
    expect(named(document, 'temporal priorities')).toMatchObject({ state: 'ok' });
  });

  test('a namespace that is not there is a finding', async () => {
    const ended = await doctor('--namespace', 'nowhere');
    expect(ended.code).toBe(4);
    expect(named(documentOf(ended), 'temporal')).toMatchObject({
      state: 'error',
      code: 'NotFound',
      found: expect.stringContaining('has no such namespace') as string,
    });
  });

  test('workers that ask for work are counted', async () => {
    const worker = await WorkerProcess.start(temporal.address, store, ['--lanes', '1']);
    try {
      await expect
        .poll(async () => named(documentOf(await doctor()), 'temporal workers'), { timeout: 120_000, interval: 1000 })
        .toMatchObject({ state: 'ok', facts: { 'referee.workflows': 1, 'referee.io': 1 } });
    } finally {
      await worker.stop();
    }
  });
});

test('referee doctor --help says what its exit codes mean', async () => {
  expect((await referee(['--help'])).stdout).toMatch(/^ {2}doctor /m);
  expect((await referee(['doctor', '--help'])).stdout).toContain('Exit codes: 0 no finding is an error');
});
