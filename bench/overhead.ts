/**
 * @file The same searches by `referee run` and by `referee submit` with one worker, turn by turn on the same machine: what a
 * batch costs besides its searches. Prints a report in Markdown.
 *
 * Usage: tsx bench/overhead.ts [--items 64] [--steps 64] [--lanes 8] [--repeats 3]
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { openRemote } from '../remote/connection.ts';
import type { Remote } from '../remote/connection.ts';
import { machine, median } from './machine.ts';
import { Measured, REFEREE, usageOf } from './support/processes.ts';
import { shapesRequests } from './support/prompts.ts';
import { benchTemporal } from './support/servers.ts';

const { values: flags } = parseArgs({
  options: {
    items: { type: 'string', default: '64' },
    steps: { type: 'string', default: '64' },
    lanes: { type: 'string', default: '8' },
    repeats: { type: 'string', default: '3' },
  },
});
const [items, repeats] = [Number(flags.items), Number(flags.repeats)];
const device = ['--provider', 'cpu', '--threads', '1', '--lanes', flags.lanes];

/** One turn. Seconds of `run`: from its plan to its last picture; of a batch: from the call of `submit` to its result. */
interface Turn {
  readonly run: { readonly seconds: number; readonly cpu: number };
  readonly batch: {
    readonly seconds: number;
    readonly worker: number;
    readonly server: number;
    readonly submit: number;
    readonly events: number;
    readonly activities: number;
  };
  readonly isEqual: boolean;
}

const folder = await mkdtemp(join(tmpdir(), 'referee-overhead-'));
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const server = await benchTemporal(folder, say);
const file = join(folder, 'prompts.jsonl');
const turns: Turn[] = [];
try {
  await using remote = await openRemote({ address: server.address });
  for (let turn = 0; turn < repeats; turn += 1) {
    // Other seeds each time: other runs.
    const lines = shapesRequests(items).map(({ prompt }) => `${JSON.stringify({ prompt, seed: turn })}\n`);
    await writeFile(file, lines.join(''));
    turns.push(await takeTurn(remote, turn));
    say(`turn ${turn + 1}: ${JSON.stringify(turns.at(-1))}`);
  }
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
process.stdout.write(report());

async function takeTurn(remote: Remote, turn: number): Promise<Turn> {
  const own = join(folder, `run-${turn}`);
  const shared = join(folder, `batch-${turn}`);
  const asked = [file, '--steps', flags.steps, '--no-previews'];
  const run = await new Measured([REFEREE, 'run', ...asked, '--store', own, '--quiet', '--json', ...device]).done();
  const times = run.stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { type?: string; time: string })
    .filter(({ type }) => type === 'plan' || type === 'done')
    .map(({ time }) => Date.parse(time));
  const alone = (Math.max(...times) - Math.min(...times)) / 1000;

  const at = ['--store', shared, '--address', server.address];
  const worker = new Measured([REFEREE, 'worker', ...at, '--json', ...device]);
  await worker.saying('ready: takes work');
  const [before, servedBefore] = [worker.usage.cpuSeconds, (await usageOf(server.pid))!.cpuSeconds];
  const begun = performance.now();
  const submit = await new Measured([REFEREE, 'submit', ...asked, ...at]).done();
  const id = submit.stdout.trim();
  const handle = remote.client.workflow.getHandle(`batch:${id}`);
  await handle.result();
  const seconds = (performance.now() - begun) / 1000 - submit.seconds;
  await worker.stop();
  const served = (await usageOf(server.pid))!.cpuSeconds - servedBefore;
  return {
    run: { seconds: alone, cpu: run.usage.cpuSeconds },
    batch: {
      seconds: seconds + submit.seconds,
      worker: worker.usage.cpuSeconds - before,
      server: served,
      submit: submit.usage.cpuSeconds,
      ...(await eventsOf(remote, id)),
    },
    isEqual: (await pictures(own, id)) === (await pictures(shared, id)),
  };
}

/** Events of all workflows of a run, and how many activities they scheduled. */
async function eventsOf(remote: Remote, run: string): Promise<{ events: number; activities: number }> {
  const sum = { events: 0, activities: 0 };
  for (const prefix of ['batch', 'page', 'item']) {
    const query = `WorkflowId STARTS_WITH "${prefix}:${run}"`;
    for await (const { workflowId, runId } of remote.client.workflow.list({ query })) {
      const { events } = await remote.client.workflow.getHandle(workflowId, runId).fetchHistory();
      sum.events += events?.length ?? 0;
      sum.activities += events?.filter((event) => event.activityTaskScheduledEventAttributes != null).length ?? 0;
    }
  }
  return sum;
}

/** Digests of all pictures, in the order of the input. */
async function pictures(store: string, run: string): Promise<string> {
  const manifest = await readFile(join(store, run, 'manifest.jsonl'), 'utf8');
  const rows = manifest
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { digests: { image: string } });
  return rows.map(({ digests }) => digests.image).join('\n');
}

function report(): string {
  const middle = (of: (turn: Turn) => number): string => median(turns.map(of)).toFixed(1);
  const ratio = median(turns.map(({ run, batch }) => batch.seconds / run.seconds));
  const perItem = (median(turns.map(({ run, batch }) => batch.seconds - run.seconds)) / items) * 1000;
  const server = median(turns.map(({ batch }) => batch.server)) / items;
  return [
    `# ${items} searches of ${flags.steps} steps by \`run\` and by \`submit\` with one worker, ${flags.lanes} lanes, median of ${repeats} turns`,
    '',
    machine(),
    '',
    '| | run | submit and one worker |',
    '| --- | --- | --- |',
    `| seconds | ${middle(({ run }) => run.seconds)} | ${middle(({ batch }) => batch.seconds)} |`,
    `| CPU seconds of the searching process; of \`run\` with its start | ${middle(({ run }) => run.cpu)} | ${middle(({ batch }) => batch.worker)} |`,
    `| CPU seconds of Temporal's server | | ${middle(({ batch }) => batch.server)} |`,
    `| CPU seconds of \`submit\` | | ${middle(({ batch }) => batch.submit)} |`,
    `| events per item | | ${(median(turns.map(({ batch }) => batch.events)) / items).toFixed(1)} |`,
    `| activities per item | | ${(median(turns.map(({ batch }) => batch.activities)) / items).toFixed(2)} |`,
    '',
    `Seconds: ${ratio.toFixed(3)} times; ${perItem.toFixed(0)} ms an item, ${(server * 1000).toFixed(0)} ms of the server's CPU: ${((perItem / 300_000) * 100).toFixed(2)} % of an item of 300 s.`,
    `Same bytes: ${turns.every(({ isEqual }) => isEqual) ? 'yes' : 'NO'}.`,
    '',
  ].join('\n');
}
