/**
 * @file Searches killed with SIGKILL at random moments and resumed until they are done, against the same searches left alone:
 * how many end with the same bytes, and how many steps are made twice. Every search is hit at least once: a process lives for a
 * random number of rounds below the steps of one search until each of its batch has been hit.
 *
 * Usage: tsx bench/kill-resume.ts [--searches 200] [--steps 64] [--batch 25] [--lanes 8] [--checkpoint-every 16]
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

import { machine } from './machine.ts';

/** Of the events of `referee run --json`, what is looked at here. */
interface Event {
  readonly type: string;
  readonly item: string;
  readonly step: number;
  readonly path: string;
  readonly message: string;
}

/** One process: what it was seen to do, and whether it was killed. */
interface Life {
  readonly events: readonly Event[];
  readonly isKilled: boolean;
}

interface Tally {
  equal: number;
  readonly unequal: string[];
  killsWhileStarting: number;
  killsWhileSearching: number;
  /** Of each search. */
  readonly hits: number[];
  /** One number for each search that was running when its process was killed. */
  readonly repeated: number[];
  readonly damaged: string[];
  seconds: { alone: number; killed: number };
}

const { values: flags } = parseArgs({
  options: {
    searches: { type: 'string', default: '200' },
    steps: { type: 'string', default: '64' },
    batch: { type: 'string', default: '25' },
    lanes: { type: 'string', default: '8' },
    'checkpoint-every': { type: 'string', default: '16' },
  },
});
const [searches, steps, batch] = [Number(flags.searches), Number(flags.steps), Number(flags.batch)];

/** Share of kills that fall into the start of a process, within its first seconds. */
const STARTING_SHARE = 0.1;
const STARTING_MS = 3000;

const tally: Tally = {
  equal: 0,
  unequal: [],
  killsWhileStarting: 0,
  killsWhileSearching: 0,
  hits: [],
  repeated: [],
  damaged: [],
  seconds: { alone: 0, killed: 0 },
};
const prompts = await readPrompts();
const folder = await mkdtemp(join(tmpdir(), 'referee-kills-'));
for (let from = 0; from < searches; from += batch) {
  await runBatch(from, Math.min(searches, from + batch));
  process.stderr.write(
    `${Math.min(searches, from + batch)}/${searches} searches, ${tally.equal} equal, ${kills()} kills\n`,
  );
}
await rm(folder, { recursive: true });
process.stdout.write(report());
process.exitCode = tally.equal === searches && tally.damaged.length === 0 ? 0 : 1;

async function readPrompts(): Promise<string[]> {
  const file = new URL('../test/fixtures/shapes-prompts/prompts.json', import.meta.url);
  return (JSON.parse(await readFile(file, 'utf8')) as { prompt: string }[]).map(({ prompt }) => prompt);
}

async function runBatch(from: number, to: number): Promise<void> {
  const input = join(folder, `batch-${from}.jsonl`);
  const record = (at: number): object => ({
    prompt: prompts[at % prompts.length],
    seed: 1 + Math.floor(at / prompts.length),
  });
  const lines = Array.from({ length: to - from }, (_, i) => JSON.stringify(record(from + i)));
  await writeFile(input, `${lines.join('\n')}\n`);

  let begun = performance.now();
  const alone = await live(input, join(folder, `alone-${from}`));
  tally.seconds.alone += (performance.now() - begun) / 1000;
  begun = performance.now();
  const lives = await liveAndDie(input, join(folder, `killed-${from}`), to - from);
  tally.seconds.killed += (performance.now() - begun) / 1000;

  count(lives);
  const pictures = picturesOf(lives.at(-1)!.events);
  for (const [item, path] of picturesOf(alone.events)) {
    const other = pictures.get(item);
    const isEqual = other !== undefined && (await areEqual(path, other));
    if (isEqual) tally.equal += 1;
    else tally.unequal.push(path);
  }
}

/** Processes one after the other, killed until every search was hit; the last one comes to the end. */
async function liveAndDie(input: string, store: string, items: number): Promise<Life[]> {
  const lives: Life[] = [];
  const hit = new Set<string>();
  while (lives.at(-1)?.isKilled !== false) {
    const isToDie = hit.size < items;
    const life = await live(input, store, isToDie ? randomDeath() : {});
    if (life.isKilled) for (const item of runningAtTheEnd(life.events)) hit.add(item);
    lives.push(life);
  }
  return lives;
}

interface Death {
  /** Rounds of steps after which it dies, a random part of a round later. */
  readonly rounds?: number;
  readonly milliseconds?: number;
}

function randomDeath(): Death {
  if (Math.random() < STARTING_SHARE) return { milliseconds: Math.random() * STARTING_MS };
  return { rounds: Math.floor(Math.random() * steps) };
}

/** One process, to its end or to its death. */
async function live(input: string, store: string, { rounds, milliseconds }: Death = {}): Promise<Life> {
  const main = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
  const settings = ['--steps', flags.steps, '--lanes', flags.lanes, '--checkpoint-every', flags['checkpoint-every']];
  const argv = ['--import', 'tsx', main, 'run', input, '--store', store, '--json', '--no-previews', ...settings];
  const child = spawn(process.execPath, [...argv, '--provider', 'cpu'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<NodeJS.Signals | null>((resolve, reject) => {
    child.on('close', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve(signal);
      else reject(new Error(`a process ended with code ${String(code)}, signal ${String(signal)}`));
    });
  });
  const kill = (): void => void child.kill('SIGKILL');
  const timer = milliseconds === undefined ? undefined : setTimeout(kill, milliseconds);

  const events: Event[] = [];
  const made = new Map<string, number>();
  let roundBegan = performance.now();
  for await (const line of createInterface(child.stdout)) {
    if (!line.endsWith('}')) continue; // cut off by the end of its process
    const event = JSON.parse(line) as Event;
    events.push(event);
    if (event.type === 'start' && rounds === 0) setTimeout(kill, Math.random() * 1000);
    if (event.type !== 'step') continue;
    const round = (made.get(event.item) ?? 0) + 1;
    const isNew = round > Math.max(0, ...made.values());
    made.set(event.item, round);
    if (!isNew) continue;
    if (round === rounds) setTimeout(kill, Math.random() * (performance.now() - roundBegan));
    roundBegan = performance.now();
  }
  const signal = await ended;
  clearTimeout(timer);
  return { events, isKilled: signal === 'SIGKILL' };
}

function runningAtTheEnd(events: readonly Event[]): Set<string> {
  const running = new Set<string>();
  for (const { type, item } of events) {
    if (type === 'start') running.add(item);
    if (type === 'done') running.delete(item);
  }
  return running;
}

function count(lives: readonly Life[]): void {
  const reached = new Map<string, number>();
  const hits = new Map<string, number>();
  for (const { events, isKilled } of lives) {
    const running = runningAtTheEnd(events);
    if (isKilled && running.size === 0) tally.killsWhileStarting += 1;
    if (isKilled && running.size > 0) tally.killsWhileSearching += 1;
    if (isKilled) for (const item of running) hits.set(item, (hits.get(item) ?? 0) + 1);
    for (const { type, item, step, message } of events) {
      if (type === 'note' && message.startsWith('passed over')) tally.damaged.push(message);
      if (type === 'start' && reached.has(item)) tally.repeated.push(Math.max(0, reached.get(item)! - step));
      if (type === 'start' || type === 'step') reached.set(item, step);
    }
  }
  tally.hits.push(...hits.values());
}

function picturesOf(events: readonly Event[]): Map<string, string> {
  const finished = events.filter(({ type }) => type === 'done' || type === 'skipped');
  return new Map(finished.map(({ item, path }) => [item, path]));
}

/** Picture and trace. */
async function areEqual(one: string, other: string): Promise<boolean> {
  const pairs = ['image.png', 'trace.jsonl'].map((file) =>
    Promise.all([one, other].map((path) => readFile(join(path, '..', file)))),
  );
  return (await Promise.all(pairs)).every(([a, b]) => a!.equals(b!));
}

function kills(): number {
  return tally.killsWhileStarting + tally.killsWhileSearching;
}

function report(): string {
  const { equal, hits, repeated, seconds, killsWhileStarting, damaged, unequal } = tally;
  const all = repeated.reduce((sum, value) => sum + value, 0);
  const made = searches * steps;
  const perKill = kills() === 0 ? 0 : all / kills();
  const perHit = repeated.length === 0 ? 0 : all / repeated.length;
  return [
    machine(),
    `${searches} searches of ${steps} steps, ${flags.lanes} lanes, a checkpoint every ${flags['checkpoint-every']} steps, ${batch} searches a run`,
    `equal to undisturbed, picture and trace: ${equal} of ${searches}`,
    `kills: ${kills()}, of them ${killsWhileStarting} before the first search went on; searches hit: ${hits.length}, at most ${Math.max(0, ...hits)} times`,
    `steps repeated: ${all} of ${made} (${((100 * all) / made).toFixed(1)} %), ${perKill.toFixed(1)} per kill over all lanes, ${perHit.toFixed(1)} per kill and search, at most ${Math.max(0, ...repeated)}`,
    `damaged checkpoints: ${damaged.length}`,
    `seconds: ${seconds.alone.toFixed(0)} undisturbed, ${seconds.killed.toFixed(0)} with kills`,
    ...unequal.map((path) => `unequal: ${path}`),
    '',
  ].join('\n');
}
