/**
 * @file A batch of many items whose searches take a millisecond a step: what the orchestration itself costs, and how it
 * grows. Then a hundred thousand items submitted and listed. Prints a report in Markdown.
 *
 * Usage: tsx bench/scale.ts [--items 10000] [--steps 4] [--window 500] [--continue-after 100] [--submit 100000]
 */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { prepareRun } from '../activities/prepare-run.ts';
import { PromptTokenizer } from '../activities/prompts.ts';
import { resolveRun } from '../activities/specs.ts';
import { openPack } from '../models/packs/resolve.ts';
import { batchInput, startBatch } from '../remote/batches.ts';
import { openRemote } from '../remote/connection.ts';
import type { Remote } from '../remote/connection.ts';
import { openStore } from '../store/open-store.ts';
import { batchId, deviceQueue } from '../workflows/ids.ts';
import { shapesRequests } from './support/prompts.ts';
import { machine, median } from './machine.ts';
import { Measured, REFEREE, usageOf } from './support/processes.ts';
import { benchTemporal } from './support/servers.ts';
import { megabytes } from './support/step-table.ts';

const { values: flags } = parseArgs({
  options: {
    items: { type: 'string', default: '10000' },
    steps: { type: 'string', default: '4' },
    window: { type: 'string', default: '500' },
    'continue-after': { type: 'string', default: '100' },
    submit: { type: 'string', default: '100000' },
  },
});
const [items, steps, window] = [Number(flags.items), Number(flags.steps), Number(flags.window)];

const FIRST_ROUND = { round: 0, retryFailed: false };
const folder = await mkdtemp(join(tmpdir(), 'referee-scale-'));
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const server = await benchTemporal(folder, say);
const { address } = server;
const store = join(folder, 'runs');
const pack = await openPack('shapes');
const devices = new Measured([
  new URL('support/idle-device.ts', import.meta.url).pathname,
  ...[address, deviceQueue(pack.digest), String(steps), '64'],
]);
const argv = ['worker', '--address', address, '--store', store, '--roles', 'workflows,io', '--json'];
const worker = new Measured([REFEREE, ...argv]);
try {
  await Promise.all([devices, worker].map((each) => each.saying('ready: takes work')));
  await using remote = await openRemote({ address });
  const report = [`# A batch of ${items} items of ${steps} steps of 1 ms`, '', machine(), ''];
  report.push(...(await wholeBatch(remote)), '', ...(await hugeSubmit()));
  process.stdout.write(`${report.join('\n')}\n`);
} finally {
  await Promise.all([devices.stop(), worker.stop()]);
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

async function wholeBatch(remote: Remote): Promise<string[]> {
  const idle = { server: (await usageOf(server.pid))!, worker: worker.usage };
  const begun = performance.now();
  const tokenizer = await PromptTokenizer.open(pack);
  const spec = resolveRun(shapesRequests(items), pack, tokenizer);
  const runs = openStore(store);
  await prepareRun(runs, { pack, spec, pending: spec.items, specs: 'later', rejected: [] });
  const input = batchInput({ run: spec.run, items, packDigest: pack.digest }, { window }, FIRST_ROUND);
  await startBatch(remote, { ...input, continueAfterEvents: Number(flags['continue-after']) });
  const submitSeconds = seconds(begun);
  const handle = remote.client.workflow.getHandle(batchId(spec.run));
  let last = begun;
  let result: { counts: { done: number } } | undefined;
  const over = handle.result().then((value) => (result = value as typeof result));
  let serverPeak = 0;
  while (result === undefined) {
    await Promise.race([over, sleep(1000)]);
    serverPeak = Math.max(serverPeak, (await usageOf(server.pid))?.bytes ?? 0);
    if (performance.now() - last > 15_000) {
      last = performance.now();
      say(`${seconds(begun).toFixed(0)} s: server ${megabytes(serverPeak)}, worker ${megabytes(worker.usage.bytes)}`);
    }
  }
  const total = seconds(begun);
  const after = (await usageOf(server.pid))!;
  const histories = await historiesOf(remote, spec.run);
  const database = (await stat(join(folder, 'temporal.db'))).size;
  const perItem = (bytes: number): string => `${(bytes / items / 1024).toFixed(1)} kB`;
  return [
    `${result.counts.done} of ${items} done in ${total.toFixed(0)} s (${(items / total).toFixed(1)} items/s; submit ${submitSeconds.toFixed(1)} s), window ${window}.`,
    '',
    '| what | value |',
    '| --- | --- |',
    `| runs of the workflow \`batch\` (continued as new after ${flags['continue-after']} events) | ${histories.batch.length} |`,
    `| events of \`batch\`, largest | ${Math.max(...histories.batch.map(({ events }) => events))} |`,
    `| bytes of \`batch\`, largest | ${Math.max(...histories.batch.map(({ bytes }) => bytes))} |`,
    `| events of \`page\` (500 items), median and largest | ${spread(histories.page.map(({ events }) => events))} |`,
    `| bytes of \`page\`, median and largest | ${spread(histories.page.map(({ bytes }) => bytes))} |`,
    `| events of \`inversion\`, median and largest | ${spread(histories.inversion.map(({ events }) => events))} |`,
    `| bytes of \`inversion\`, median and largest | ${spread(histories.inversion.map(({ bytes }) => bytes))} |`,
    `| worker (workflows, io): resident at rest, peak | ${megabytes(idle.worker.bytes)}, ${megabytes(worker.usage.peakBytes)} |`,
    `| worker, per item (peak above rest / items) | ${perItem(worker.usage.peakBytes - idle.worker.bytes)} |`,
    `| server: resident at rest, peak | ${megabytes(idle.server.bytes)}, ${megabytes(after.peakBytes)} |`,
    `| server, per item (peak above rest / items) | ${perItem(after.peakBytes - idle.server.bytes)} |`,
    `| server's database, per item | ${perItem(database)} |`,
    `| CPU seconds per 1000 items: worker, server | ${perThousand(worker.usage.cpuSeconds - idle.worker.cpuSeconds)}, ${perThousand(after.cpuSeconds - idle.server.cpuSeconds)} |`,
    `| extrapolated to 100 000 items: seconds, database | ${((total / items) * 1e5).toFixed(0)}, ${(((database / items) * 1e5) / 2 ** 30).toFixed(1)} GiB |`,
  ];
}

interface History {
  readonly events: number;
  readonly bytes: number;
}

/** Of every run of `batch` and `page`, and of up to 500 items. */
async function historiesOf(remote: Remote, run: string): Promise<Record<'batch' | 'page' | 'inversion', History[]>> {
  const all: Record<'batch' | 'page' | 'inversion', History[]> = { batch: [], page: [], inversion: [] };
  for (const [kind, prefix] of [
    ['batch', 'batch'],
    ['page', 'page'],
    ['inversion', 'item'],
  ] as const) {
    const query = `WorkflowId STARTS_WITH "${prefix}:${run}"`;
    for await (const { workflowId, runId } of remote.client.workflow.list({ query, pageSize: 100 })) {
      const { historyLength, historySize } = await remote.client.workflow.getHandle(workflowId, runId).describe();
      all[kind].push({ events: historyLength, bytes: historySize ?? 0 });
      if (all[kind].length === 500) break;
    }
  }
  return all;
}

/** Submits and lists so many items by the command, as a user does, while nobody searches them. */
async function hugeSubmit(): Promise<string[]> {
  const count = Number(flags.submit);
  await devices.stop();
  const file = join(folder, 'prompts.jsonl');
  const lines = shapesRequests(count).map(({ prompt, seed }) => `${JSON.stringify({ prompt, seed })}\n`);
  await writeFile(file, lines.join(''));
  const at = ['--store', store, '--address', address];
  const submit = await new Measured([REFEREE, 'submit', file, ...at]).done();
  const run = submit.stdout.trim();
  const again = await new Measured([REFEREE, 'submit', file, ...at]).done();
  const status = await new Measured([REFEREE, 'status', run, '--json', ...at]).done();
  const list = await new Measured([REFEREE, 'items', run, '--json', ...at]).done();
  const listed = (JSON.parse(list.stdout) as { items: unknown[] }).items.length;
  const counts = (JSON.parse(status.stdout) as { counts: Record<string, number> }).counts;
  await new Measured([REFEREE, 'cancel', run, '--now', ...at]).done();
  const row = (what: string, of: Measured): string =>
    `| ${what} | ${of.seconds.toFixed(1)} s | ${of.usage.cpuSeconds.toFixed(1)} s | ${megabytes(of.usage.peakBytes)} |`;
  const written = (await readFile(join(store, run, 'prompts', 'part-00000.jsonl'))).length;
  return [
    `# ${count} items submitted and listed`,
    '',
    `\`items\` lists ${listed}; \`status\` counts ${Object.values(counts).reduce((sum, n) => sum + n, 0)}; a page of 1000 prompts has ${written} bytes.`,
    '',
    '| command | seconds | CPU | peak memory |',
    '| --- | --- | --- | --- |',
    row('submit', submit),
    row('submit, again (attaches)', again),
    row('status', status),
    row('items --json', list),
  ];
}

function seconds(since: number): number {
  return (performance.now() - since) / 1000;
}

function perThousand(cpuSeconds: number): string {
  return ((cpuSeconds / items) * 1000).toFixed(1);
}

function spread(values: readonly number[]): string {
  return `${median(values)}, ${Math.max(...values)}`;
}
