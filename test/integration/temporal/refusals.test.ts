import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, expect, test } from 'vitest';

import { openStore } from '../../../store/open-store.ts';
import { readResult } from '../../../store/run.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { startTemporal } from '../../support/servers/servers.ts';
import type { TemporalForTests } from '../../support/servers/servers.ts';
import { referee } from '../support/command.ts';
import { connectClient, prepareRun, PROMPTS, startBatch } from './support/batches.ts';
import type { BatchHandle, Prepared } from './support/batches.ts';
import { workersOfTests } from './support/left-workers.ts';

let temporal: TemporalForTests;
const worker = workersOfTests(() => temporal.address);

beforeAll(async () => {
  temporal = await startTemporal();
});

const refuse = (name: string, how: string): string => {
  const url = new URL('../support/refuse.mjs', import.meta.url);
  url.search = new URLSearchParams({ name, how }).toString();
  return url.href;
};

const ATTEMPTS = 2;
const LONG = { steps: 12, refereeStart: 4 };

test('a step that a worker refuses ends the item whose it is: after its attempts, or at once where waiting does not help', async () => {
  const store = await temporaryFolder();
  // Items of three runs on the lanes of one worker. More cutouts and the contrastive loss have models of their own.
  const preload = [refuse('alignment-5', 'step'), refuse('alignment-3-itc', 'kernel')];
  const own = await worker(store, ['--lanes', '5'], { preload });
  const [sound, wide, contrastive] = [
    await prepareRun(store, PROMPTS.slice(0, 3), LONG),
    await prepareRun(store, PROMPTS.slice(3, 4), { ...LONG, cutouts: 5 }),
    await prepareRun(store, PROMPTS.slice(4, 5), { ...LONG, itcWeight: 1 }),
  ];
  const client = await connectClient(temporal.address);
  const start = (prepared: Prepared): Promise<BatchHandle> =>
    startBatch(client, prepared, { tuning: { attempts: ATTEMPTS, retrySeconds: 1, longestRetrySeconds: 1 } });
  const batches = await Promise.all([sound, wide, contrastive].map(start));
  const counts = await Promise.all(batches.map(async (batch) => (await batch.result()).counts));
  expect(counts).toMatchObject([
    { done: 3, failed: 0 },
    { done: 0, failed: 1 },
    { done: 0, failed: 1 },
  ]);

  const lines = own.said.split('\n').filter((line) => line.startsWith('{'));
  const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const errors = (code: string): unknown[] =>
    said.filter((line) => line['level'] === 'warn' && line['code'] === code).map(({ message }) => message);
  expect(errors('OutOfMemory')).toEqual(
    Array.from({ length: ATTEMPTS }, (): unknown =>
      expect.stringMatching(
        /^optimiseChunk: session "alignment-5" fails to run on cpu: out of memory at node "\/refused\/Expand_\d" \(Expand\), \d+ MB more were asked for$/,
      ),
    ),
  );
  expect(errors('UnsupportedOperator')).toEqual([
    'optimiseChunk: session "alignment-3-itc" does not load on cpu: node "/refused/Elu_1" (Elu): cpu has no kernel for it with its types',
  ]);

  const objects = openStore(store);
  const failure = async ({ spec }: Prepared): Promise<unknown> => readResult(objects, spec.run, spec.items[0]!.item);
  const given = (code: string): string =>
    `the search was given up: every attempt ended with ${code}; the workers' logs say more`;
  expect(await failure(wide)).toMatchObject({
    state: 'failed',
    steps: LONG.refereeStart,
    error: { code: 'OutOfMemory', message: given('OutOfMemory') },
  });
  expect(await failure(contrastive)).toMatchObject({
    error: { code: 'UnsupportedOperator', message: given('UnsupportedOperator') },
  });
  expect(await own.stop()).toBe(0);

  // Where there is memory the search goes on from where it stood, and ends as one that nothing befell.
  const next = await worker(store);
  const at = (...words: string[]) => referee([...words, '--store', store, '--address', temporal.address]);
  expect(await at('retry', wide.spec.run)).toMatchObject({ code: 0, stderr: '1 failed items are searched again\n' });
  expect((await at('watch', wide.spec.run)).code).toBe(0);
  expect(next.said).toMatch(/"message":"start"[^\n]*"step":4/);
  const other = await temporaryFolder();
  const options = ['--steps', '12', '--referee-start', '4', '--cutouts', '5', '--seed', '0', '--no-previews'];
  const undisturbed = await referee(['run', PROMPTS[3]!, '--store', other, '--threads', '1', ...options]);
  expect(undisturbed.code).toBe(0);
  const picture = (root: string): Buffer =>
    readFileSync(join(root, wide.spec.run, 'items', wide.spec.items[0]!.item, 'image.png'));
  expect(picture(store).equals(picture(other))).toBe(true);
  expect(await next.stop()).toBe(0);
});
