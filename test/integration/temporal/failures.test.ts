import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { beforeAll, expect, test, vi } from 'vitest';

import { temporaryFolder } from '../../support/folder.ts';
import { canMount, mountedFolder } from '../../support/mount.ts';
import { startTemporal } from '../../support/servers/servers.ts';
import type { TemporalForTests } from '../../support/servers/servers.ts';
import { Referee, referee } from '../support/command.ts';
import type { Ended } from '../support/command.ts';
import { workersOfTests } from './support/left-workers.ts';

let temporal: TemporalForTests;
const worker = workersOfTests(() => temporal.address);

beforeAll(async () => {
  temporal = await startTemporal();
});

/** Steps take some milliseconds. */
const SHORT = ['--method', 'distil', '--steps', '4'];
const LONG = ['--method', 'distil', '--steps', '10000', '--chunk-seconds', '600'];

/** `referee <words>` with this server and a store. */
function cli(store: string): (...words: string[]) => Promise<Ended> {
  return (...words) => referee([...words, '--store', store, '--address', temporal.address]);
}

/** The id of a new run. */
async function submitted(at: ReturnType<typeof cli>, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await at('submit', ...words);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

const line = (text: string): RegExp => new RegExp(`^${text}\\n$`);

async function prompts(count: number): Promise<string> {
  const file = join(await temporaryFolder(), 'prompts.txt');
  const lines = ['a red circle', 'a green square', 'a blue cross'].slice(0, count);
  writeFileSync(file, lines.map((each) => `${each}\n`).join(''));
  return file;
}

interface StatusDocument {
  readonly state: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
}

async function statusOf(at: ReturnType<typeof cli>, run: string): Promise<StatusDocument> {
  return (await at('status', run, '--json')).events[0] as unknown as StatusDocument;
}

// First in the file: the server takes a worker for polling for minutes after it was killed.
test('a worker with another pack never gets the searches, and status names the queue that nobody polls', async () => {
  const store = await temporaryFolder();
  const at = cli(store);
  const pack = join(await temporaryFolder(), 'other');
  await cp(fileURLToPath(new URL('../../../packs/shapes', import.meta.url)), pack, { recursive: true });
  const manifest = join(pack, 'manifest.json');
  const { version, ...rest } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  writeFileSync(manifest, JSON.stringify({ ...rest, version: `${version}9` }));
  const wrong = await worker(store, ['--pack', pack]);
  const run = await submitted(at, await prompts(1), ...SHORT);
  const note = await vi.waitUntil(
    async () => (await statusOf(at, run)).notes.find((each) => each.includes('referee.gpu')),
    { timeout: 60_000, interval: 300 },
  );
  expect(note).toMatch(/^no worker polls the queue referee\.gpu\.default\.[0-9a-f]{8}$/);
  expect(wrong.said).not.toContain('"start"');
  expect(await statusOf(at, run)).toMatchObject({ state: 'running', counts: { running: 1 } });
  await at('cancel', run, '--now');
  await wrong.stop();
});

test('an item fails: watch ends with 3, retry searches it again and leaves the others alone', async () => {
  const store = await temporaryFolder();
  const at = cli(store);
  const run = await submitted(at, await prompts(2), ...SHORT);
  const { events } = await at('items', run, '--json');
  const [good, bad] = (events[0]!['items'] as { item: string }[]).map(({ item }) => item);
  const file = (item: string, name: string): string => join(store, run, 'items', item, name);
  mkdirSync(join(store, run, 'items', bad!), { recursive: true });
  writeFileSync(file(bad!, 'spec.json'), '{');
  const own = await worker(store);

  const watched = await at('watch', run);
  expect(watched.code).toBe(3);
  expect(watched.stderr).toMatch(
    /completed, 1 done, 1 failed\nerror: 1 of 2 images failed\nhint: referee items r\w+ --state failed says why\n$/,
  );
  const failed = await at('items', run, '--state', 'failed');
  expect(failed.stdout).toMatch(/^i\w+ {2}failed .* {2}a green square .*spec\.json: not JSON: "\{"\n$/);
  expect(await statusOf(at, run)).toMatchObject({ state: 'completed', counts: { done: 1, failed: 1 } });

  // Another failure takes the place of the first, everywhere.
  writeFileSync(file(bad!, 'spec.json'), '{}');
  const again = await at('retry', run);
  expect(again).toMatchObject({ code: 0, stdout: `${run}\n`, stderr: '1 failed items are searched again\n' });
  expect((await at('watch', run)).code).toBe(3);
  expect((await at('items', run, '--state', 'failed')).stdout).toContain('"index"');
  expect(readFileSync(join(store, run, 'manifest.jsonl'), 'utf8')).toContain('index');

  const before = statSync(file(good!, 'result.json')).mtimeMs;
  rmSync(file(bad!, 'spec.json'));
  await at('retry', run);
  expect(await at('watch', run)).toMatchObject({ code: 0 });
  expect(statSync(file(good!, 'result.json')).mtimeMs).toBe(before);
  expect((await at('retry', run)).stderr).toBe('nothing to do: no item has failed\n');
  expect(await own.stop()).toBe(0);
});

test('pause, cancel, cancel now, drain, and a second signal: what is said, and the codes', async () => {
  const store = await temporaryFolder();
  const at = cli(store);
  const own = await worker(store);
  const run = await submitted(at, await prompts(1), ...LONG);
  await own.saying('"start"');
  const paused = await at('pause', run, '--now');
  expect(paused.stderr).toMatch(
    line(`paused: each running search is saved at its next step; go on with: referee resume ${run}`),
  );
  expect((await at('status', run)).stdout).toContain('paused, 1 running');
  own.said = '';
  expect(await at('resume', run)).toMatchObject({ code: 0, stderr: 'the run goes on\n' });
  await own.saying('"start"');

  const cancelled = await at('cancel', run);
  expect(cancelled.stderr).toMatch(
    line(`asked to cancel: running searches are saved first; go on with: referee resume ${run}`),
  );
  const watched = await at('watch', run);
  expect(watched.code).toBe(130);
  expect(watched.stderr).toMatch(
    /error: run r\w+ was cancelled: 0 of 1 done\nhint: go on with: referee resume r\w+\n$/,
  );
  expect((await at('retry', run)).stderr).toBe(
    `nothing to do: no item has failed; referee resume ${run} goes on with the 1 that have no result\n`,
  );
  own.said = '';
  expect((await at('resume', run)).stderr).toMatch(line('1 continue from a checkpoint, 0 start, 0 are there'));
  await own.saying('"start"');
  expect((await at('cancel', run, '--now')).stderr).toContain('cancelled at once');
  expect(await statusOf(at, run)).toMatchObject({ state: 'cancelled', counts: { cancelled: 1 } });
  expect((await at('cancel', run)).stderr).toBe('nothing to do: the run has ended already\n');
  await at('resume', run);

  const second = await worker(store);
  own.said = '';
  own.kill('SIGTERM');
  await own.saying('drains: saves all items');
  expect(await own.ended).toBe(0);
  await second.saying('"start"');
  second.kill('SIGSTOP'); // so that both signals are there before it does anything about the first
  second.kill('SIGTERM');
  second.kill('SIGINT');
  second.kill('SIGCONT');
  expect(await second.ended).toBe(1);
  await at('cancel', run, '--now');
});

test('a device thread that ends: the worker ends with 75, and another one goes on', async () => {
  const store = await temporaryFolder();
  const at = cli(store);
  const preload = [new URL('support/end-device-thread.mjs', import.meta.url).href];
  const own = await worker(store, ['--roles', 'device'], { preload });
  const other = await worker(store, ['--roles', 'workflows,io']);
  const run = await submitted(at, await prompts(1), '--method', 'distil', '--steps', '400');
  await own.saying('"checkpoint"');
  own.kill('SIGUSR2');
  expect([await own.ended, own.said.slice(-1500)]).toEqual([75, expect.stringContaining('DeviceLost')]);
  expect(own.said).toMatch(/"code":"DeviceLost"/);
  const next = await worker(store, ['--roles', 'device']);
  expect((await at('watch', run)).code).toBe(0);
  await Promise.all([next, other].map((each) => each.stop()));
});

/** Takes all the space that its file system has left. */
function fill(file: string): void {
  for (const bytes of [65_536, 4096]) {
    try {
      for (;;) appendFileSync(file, Buffer.alloc(bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}

test('a store that gets full: submit refuses what cannot fit; in the middle the batch waits for space', async () => {
  if (!canMount) throw new Error('needs root on Linux: a small file system is mounted for this test');
  const store = mountedFolder('3m');
  const at = cli(store);
  const filler = join(store, 'filler');
  fill(filler);
  const refused = await at('submit', await prompts(3), ...SHORT);
  expect([refused.code, refused.stdout]).toEqual([2, '']);
  expect(refused.stderr).toMatch(
    /^error: store "[^"]+": [^\n]*\nhint: free some space and run the same command again: it goes on\n$/,
  );
  rmSync(filler);

  const own = await worker(store);
  const run = await submitted(at, await prompts(1), ...LONG.slice(0, 2), '--steps', '600', '--no-previews');
  await own.saying('"checkpoint"');
  fill(filler);
  await own.saying('"code":"StoreFull"');
  expect(await statusOf(at, run)).toMatchObject({ state: 'running' });
  rmSync(filler);
  expect((await at('watch', run)).code).toBe(0);
  expect(await own.stop()).toBe(0);
});

test('a server that goes away: status says so, watch waits for it, and Ctrl-C ends the watching alone', async () => {
  const store = await temporaryFolder();
  const at = cli(store);
  const run = await submitted(at, await prompts(1), ...SHORT);
  const watching = new Referee(['watch', run, '--store', store, '--address', temporal.address]);
  await watching.stderrHas('1 queued');
  await temporal.server.kill();
  await watching.stderrHas(`no Temporal server answers at ${temporal.address}: waiting for it\n`);
  const status = await at('status', run);
  expect([status.code, status.stdout]).toEqual([75, '']);
  expect(status.stderr).toMatch(
    line(
      `error: no Temporal server answers at ${temporal.address}\nhint: start one with referee dev, or name another in TEMPORAL_ADDRESS`,
    ),
  );
  await temporal.server.start();
  await watching.stderrHas('the server is there again\n');
  watching.kill('SIGINT');
  const { code, stderr } = await watching.ended;
  expect(code).toBe(130);
  expect(stderr).toMatch(
    /error: stopped watching; run r\w+ goes on\nhint: referee watch r\w+ watches it again, referee cancel r\w+ cancels it\n$/,
  );
  expect(await statusOf(at, run)).toMatchObject({ state: 'running' });
  await at('cancel', run, '--now');
});
