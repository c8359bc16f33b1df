import { writeFile } from 'node:fs/promises';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { temporaryFolder } from '../support/folder.ts';
import { ONE_DEVICE, Referee, referee } from './support/command.ts';
import type { Event } from './support/command.ts';
import { lasting, repeatedSteps } from './support/runs.ts';
import { Watch, filesOf, tornFiles } from './support/whole-files.ts';

const STEPS = 12;
const EVERY = 4;

let folder: string;
let prompts: string;
let undisturbed: ReturnType<typeof lasting>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'referee-resume-'));
  prompts = join(folder, 'prompts.txt');
  await writeFile(prompts, 'a red circle\ntwo blue squares\na green cross above a red triangle\n');
  const ended = await referee(words(join(folder, 'undisturbed')));
  expect(ended.code).toBe(0);
  undisturbed = lasting(join(folder, 'undisturbed'));
  expect(Object.keys(undisturbed).filter((file) => file.endsWith('image.png'))).toHaveLength(3);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Small enough that the average and the moments of the gradient take part in every picture. */
const METHOD = [
  '--steps',
  String(STEPS),
  '--ema-start',
  '5',
  '--ema-restart',
  '3',
  '--optimiser',
  'adam',
  '--lr',
  '0.1',
];

/** Three searches on two lanes. */
function words(store: string): string[] {
  const run = ['run', prompts, '--seed', '7', ...METHOD, '--checkpoint-every', String(EVERY)];
  return [...run, '--lanes', '2', '--store', store, '--json', ...ONE_DEVICE];
}

/** Kills a process when `moment` comes. Undefined: it had ended before. */
async function killed(store: string, moment: (child: Referee) => Promise<unknown>): Promise<readonly Event[]> {
  const child = new Referee(words(store));
  await Promise.race([moment(child), child.ended]);
  child.kill('SIGKILL');
  const { code, events, stderr } = await child.ended;
  expect([code, stderr]).toEqual([null, '']);
  return events;
}

function isStep(step: number): (event: Event) => boolean {
  return (event) => event['type'] === 'step' && event['step'] === step;
}

function isCheckpoint(step: number): (event: Event) => boolean {
  return (event) => event['type'] === 'checkpoint' && event['step'] === step;
}

/** Looks without a pause: what is waited for may last for less than a millisecond. */
async function until(isTrue: () => boolean, child: Referee): Promise<void> {
  while (!isTrue() && child.process.exitCode === null) await new Promise(setImmediate);
}

function hasFile(store: string, ending: RegExp): boolean {
  if (!existsSync(store)) return false;
  return readdirSync(store, { recursive: true }).some((file) => ending.test(String(file)));
}

test('killed at every kind of moment, it goes on and ends with the same bytes', async () => {
  const store = join(await temporaryFolder(), 'store');
  using watch = new Watch(store);
  const processes: (readonly Event[])[] = [];
  const moments: Record<string, (child: Referee) => Promise<unknown>> = {
    'while its code is loaded': () => sleep(150),
    'while its models are loaded': (child) => child.event(({ type }) => type === 'plan'),
    'before the first checkpoint': (child) => child.event(isStep(3)),
    'while a checkpoint is written': async (child) => {
      await child.event(isStep(1));
      await until(() => hasFile(store, /checkpoints\/\.tmp-/), child);
    },
    'when a checkpoint is written': (child) => child.event(isCheckpoint(4)),
    'in the middle': (child) => child.event(isStep(6)),
    'between the last step and the picture': (child) => child.event(isCheckpoint(STEPS)),
    'between picture and result': async (child) => {
      await child.event(isCheckpoint(STEPS));
      await until(() => hasFile(store, /image\.png$/), child);
    },
    'when the first picture is there': (child) => child.event(({ type }) => type === 'done'),
  };
  for (const [name, moment] of Object.entries(moments)) {
    processes.push(await killed(store, moment));
    if (existsSync(store)) expect(tornFiles(store), name).toEqual([]);
  }

  const last = new Referee(words(store));
  const ended = await last.ended;
  const plan = ended.events.find(({ type }) => type === 'plan')!;
  // Usually one is there; more where the machine was so busy that the kill came late.
  expect([1, 2, 3]).toContain(plan['skipped']);
  const said = plan['skipped'] === 3 ? 'nothing to do: every image is there\n' : '';
  expect([ended.code, ended.stderr]).toEqual([0, said]);
  expect(plan).toMatchObject({ items: 3 });
  expect(ended.events.at(-1)).toMatchObject({ type: 'summary', succeeded: 3, unfinished: 0 });
  processes.push(ended.events);

  expect(lasting(store)).toEqual(undisturbed);
  expect(watch.torn).toEqual([]);
  expect(watch.looks).toBeGreaterThan(filesOf(store).length);
  for (const repeated of repeatedSteps(processes))
    for (const [item, steps] of Object.entries(repeated)) expect(steps, item).toBeLessThanOrEqual(EVERY);
  const plans = processes.flat().filter(({ type }) => type === 'plan');
  expect(plans[1]).toMatchObject({ continued: 0, started: 3 });
  expect(plans.some(({ continued }) => continued === 2)).toBe(true);
  const notes = processes.flat().filter(({ type }) => type === 'note');
  expect(notes.filter(({ message }) => !String(message).startsWith('provider cpu'))).toEqual([]);
});

test('killed again and again at random moments, it comes to the end with the same bytes', async () => {
  const store = join(await temporaryFolder(), 'store');
  const moments: string[] = [];
  const processes: (readonly Event[])[] = [];
  const isOver = (): boolean => processes.at(-1)?.at(-1)?.['type'] === 'summary';
  while (!isOver() && processes.length < 40) {
    const child = new Referee(words(store));
    const [told, delay] = [Math.ceil(Math.random() * 50), Math.random() * 30];
    moments.push(`${told} events and ${delay.toFixed(1)} ms`);
    await child.event(() => child.events.length >= told);
    await Promise.race([sleep(delay), child.ended]);
    child.kill('SIGKILL');
    processes.push((await child.ended).events);
    if (existsSync(store)) expect(tornFiles(store), moments.join(', ')).toEqual([]);
  }
  expect(isOver(), moments.join(', ')).toBe(true);
  expect(lasting(store), moments.join(', ')).toEqual(undisturbed);
  const most = Math.max(...repeatedSteps(processes).flatMap((repeated) => Object.values(repeated)), 0);
  expect(most, moments.join(', ')).toBeLessThanOrEqual(EVERY);
});
