/**
 * @file Two hundred prompts, some of which the pack cannot read, by `submit` with three workers on real servers, and by `run`:
 * the same items, the same rejected lines, the same bytes. Exit code 1 where they differ.
 *
 * Usage: npm run proof:batch -- [--prompts test/fixtures/batch-prompts/prompts.txt] [--steps n] [--sheet batch.png] [--json]
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

import { inspectRun } from '../test/support/chaos/proofs.ts';
import type { Found } from '../test/support/chaos/proofs.ts';
import { openSetup } from '../test/support/chaos/setup.ts';
import type { Setup } from '../test/support/chaos/setup.ts';
import { machine } from './machine.ts';
import { batchSheet } from './batch-sheet.ts';

const { values: flags } = parseArgs({
  options: {
    prompts: { type: 'string', default: 'test/fixtures/batch-prompts/prompts.txt' },
    steps: { type: 'string' },
    sheet: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const TERMINAL: ReadonlySet<string> = new Set(['done', 'failed', 'rejected']);
/** Of the message of a rejected line. */
const WORDS = /does not know "/;
const ASKED = ['--on-invalid', 'skip', '--seed', '0', ...(flags.steps === undefined ? [] : ['--steps', flags.steps])];

interface Listed {
  readonly state: string;
  readonly item?: string;
  readonly line?: number;
  readonly message?: string;
}

interface Proof {
  readonly run: string;
  readonly lines: number;
  readonly state: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly rejected: number;
  readonly seconds: { readonly submit: number; readonly batch: number; readonly run: number };
  readonly examples: readonly string[];
  /** What does not hold. */
  readonly wrong: readonly string[];
  readonly found: Found;
}

await using setup = await openSetup({
  ...{ workers: 3, lanes: 4, referee: [process.execPath, main], say },
  spoil: () => 'pass',
});
const proof = await prove(setup);
process.stdout.write(flags.json ? `${JSON.stringify(proof)}\n` : text(proof));
process.exitCode = proof.wrong.length === 0 ? 0 : 1;

async function prove({ store, env, temporal, folder }: Setup): Promise<Proof> {
  const at = { ...env, AWS_ENDPOINT_URL_S3: store.endpoint, TEMPORAL_ADDRESS: `127.0.0.1:${temporal.port}` };
  const remote = { ...at, REFEREE_STORE: store.url };
  let begun = performance.now();
  const lap = (): number => {
    const seconds = (performance.now() - begun) / 1000;
    begun = performance.now();
    return seconds;
  };
  const submitted = await referee(['submit', flags.prompts, ...ASKED, '--no-previews'], remote);
  const run = submitted.stdout.trim();
  const submit = lap();
  say(`submitted: ${run}, ${submit.toFixed(1)} s; ${submitted.stderr.trim().replaceAll('\n', '; ')}`);
  const watched = await referee(['watch', run], remote);
  const batch = lap();
  say(`over: exit code ${watched.code}, ${batch.toFixed(0)} s`);
  const status = await document<{ state: string; counts: Record<string, number>; rejected?: number }>(
    ['status', run, '--json'],
    remote,
  );
  const { items } = await document<{ items: Listed[] }>(['items', run, '--json'], remote);

  say('the same by referee run');
  lap();
  const plain = join(folder, 'plain');
  const alone = await referee(['run', flags.prompts, ...ASKED, '--no-previews', '--quiet', '--store', plain], at);
  const seconds = { submit, batch, run: lap() };
  const ids = items.flatMap(({ item }) => (item === undefined ? [] : [item]));
  const [there, here] = [join(store.folder, run), join(plain, run)];
  const found = inspectRun(there, ids, here);
  const rejected = items.filter(({ state }) => state === 'rejected');
  const lines = readFileSync(flags.prompts, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '').length;
  if (flags.sheet !== undefined) writeFileSync(flags.sheet, await batchSheet(there, ids));
  const checks: Record<string, boolean> = {
    'exit codes are 0': [submitted.code, watched.code, alone.code].every((code) => code === 0),
    'the state is completed': status.state === 'completed',
    'every item is done': status.counts['done'] === ids.length && items.every(({ state }) => TERMINAL.has(state)),
    'every line is an item or rejected': ids.length + rejected.length === lines,
    'status tells of the rejected lines': (status.rejected ?? 0) === rejected.length,
    'each rejected line is named with its words': rejected.every(
      (each) => each.line !== undefined && WORDS.test(each.message ?? ''),
    ),
    'run has the same id': readdirSync(plain).includes(run),
    'run rejects the same lines': same(there, here, 'rejected.jsonl'),
    'run has the same prompts': same(there, here, 'prompts/part-00000.jsonl'),
    'nothing is lost, twice, torn or unequal': Object.values(found as unknown as string[][]).every(
      (list) => list.length === 0,
    ),
  };
  const wrong = Object.entries(checks).flatMap(([what, holds]) => (holds ? [] : [what]));
  const examples = rejected.slice(0, 2).map(({ line, message }) => `line ${line ?? '?'}: ${message ?? ''}`);
  const { state, counts } = status;
  return { run, lines, state, counts, rejected: rejected.length, seconds, examples, wrong, found };
}

function text({ run, lines, state, counts, rejected, seconds, examples, wrong, found }: Proof): string {
  return [
    machine(),
    `${run}: ${lines} lines, ${state}; ${Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')}, ${rejected} rejected`,
    `${found.lost.length} lost, ${found.duplicated.length} duplicated, ${found.torn.length} torn, ${found.unequal.length} unequal to referee run`,
    `seconds: ${seconds.submit.toFixed(1)} to submit, ${seconds.batch.toFixed(0)} with three workers, ${seconds.run.toFixed(0)} by referee run`,
    ...examples,
    ...wrong.map((what) => `WRONG: not so: ${what}`),
    '',
  ].join('\n');
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function referee(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  const options = { env: { ...process.env, ...env }, maxBuffer: 1 << 28 };
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [main, ...argv], options)) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout: string; stderr: string };
    if (typeof code !== 'number') throw error;
    say(stderr.trim());
    return { code, stdout, stderr };
  }
}

async function document<T>(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<T> {
  return JSON.parse((await referee(argv, env)).stdout) as T;
}

function same(there: string, here: string, file: string): boolean {
  return readFileSync(join(there, file)).equals(readFileSync(join(here, file)));
}
