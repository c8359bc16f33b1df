import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { sha256 } from '../../store/ids.ts';
import { temporaryFolder } from '../support/folder.ts';
import { ONE_DEVICE, Referee } from './support/command.ts';
import type { Ended } from './support/command.ts';

const STEPS = 6;
const EVERY = 2;

function words(store: string): string[] {
  const search = ['--steps', String(STEPS), '--checkpoint-every', String(EVERY), '--no-previews'];
  return ['run', 'a red circle', '--seed', '3', '--store', store, '--json', ...search, ...ONE_DEVICE];
}

function pictures(store: string): string[] {
  const files = readdirSync(store, { recursive: true }).map(String);
  return files.filter((file) => file.endsWith('image.png')).map((file) => sha256(readFileSync(join(store, file))));
}

test('a process that a segmentation fault ends leaves a run that goes on to the same bytes', async () => {
  const [store, other] = [join(await temporaryFolder(), 'a'), join(await temporaryFolder(), 'b')];
  const child = new Referee(words(store));
  await child.event(({ type, step }) => type === 'checkpoint' && step === EVERY);
  child.kill('SIGSEGV');
  await child.ended;
  expect(child.process.signalCode).toBe('SIGSEGV');
  expect(pictures(store)).toEqual([]);

  const again = await new Referee(words(store)).ended;
  expect(again.code).toBe(0);
  const start = again.events.find(({ type }) => type === 'start');
  expect(Number(start?.['step'])).toBeGreaterThanOrEqual(EVERY);

  expect((await new Referee(words(other)).ended).code).toBe(0);
  expect(pictures(store)).toEqual(pictures(other));
  expect(pictures(store)).toHaveLength(1);
});

/** A file to load before the command, with its settings. */
function preload(file: string, settings: Readonly<Record<string, string | number>>): string[] {
  const url = new URL(`support/${file}`, import.meta.url);
  for (const [name, value] of Object.entries(settings)) url.searchParams.set(name, String(value));
  return [url.href];
}

const MEMORY_HINT =
  'end other programs, or use fewer --lanes and --threads or a smaller pack, and run the same again: a search goes on from its last checkpoint';

describe('a process that runs out of memory', () => {
  const BEGIN = 3; // of the referee, whose graph is the largest
  /** Many cutouts, so that a step needs far more than it is left. */
  const wide = (store: string): string[] => [
    ...['run', 'a red circle', '--seed', '3', '--store', store, '--json', '--no-previews', ...ONE_DEVICE],
    ...['--steps', '6', '--referee-start', String(BEGIN), '--cutouts', '48', '--checkpoint-every', '2'],
  ];

  test('in the middle of a step says so in one line and ends with 75; the same command goes on to the same bytes', async () => {
    const [store, other] = [await temporaryFolder(), await temporaryFolder()];
    const limited = new Referee(wide(store), process.cwd(), preload('limit-memory.mjs', { room: 40 }));
    const { code, stderr, events } = await limited.ended;
    expect([code, stderr]).toEqual([75, '']);
    const message =
      /^session "alignment-48" fails to run on cpu: out of memory at node "[^"]+" \(\w+\)(, \d+ MB more were asked for)?$/;
    expect(events.at(-1)).toMatchObject({
      error: { code: 'OutOfMemory', message: expect.stringMatching(message) as string, hint: MEMORY_HINT },
    });
    expect(pictures(store)).toEqual([]);
    const again = await new Referee(wide(store)).ended;
    expect(again.code).toBe(0);
    expect(again.events.find(({ type }) => type === 'start')).toMatchObject({ step: BEGIN });
    expect((await new Referee(wide(other)).ended).code).toBe(0);
    expect(pictures(store)).toEqual(pictures(other));
  });
});

describe('what onnxruntime refuses', () => {
  const STARTED = 1; // steps without the referee, whose model is refused
  const several = (store: string): string[] => [
    ...['run', 'a red circle', '--seeds', '1-4', '--store', store, '--no-previews', ...ONE_DEVICE],
    ...['--steps', '3', '--referee-start', String(STARTED), '--lanes', '4', '--json'],
  ];
  let sound: Promise<string[]> | undefined;
  const soundPictures = (): Promise<string[]> =>
    (sound ??= (async () => {
      const store = await temporaryFolder();
      expect((await new Referee(several(store)).ended).code).toBe(0);
      return pictures(store);
    })());
  const refused = async (store: string, how: string): Promise<Ended> => {
    const settings = { name: 'alignment-3', how, file: join(await temporaryFolder(), 'weight') };
    return new Referee(several(store), process.cwd(), preload('refuse.mjs', settings)).ended;
  };
  const notesOf = ({ events }: Ended): string[] =>
    events.filter(({ type }) => type === 'note').map(({ message }) => String(message));

  test('memory for a step of several searches: goes on with fewer at a time, to the same bytes', async () => {
    const store = await temporaryFolder();
    const ended = await refused(store, 'lanes');
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    const step =
      /^session "alignment-3" fails to run on cpu: out of memory at node "\/refused\/Expand_\d" \(Expand\), \d+ MB more were asked for/;
    expect(notesOf(ended).slice(-2)).toEqual([
      expect.stringMatching(new RegExp(`${step.source}: goes on with 2 of 4 searches at a time$`)),
      expect.stringMatching(new RegExp(`${step.source}: goes on with 1 of 2 searches at a time$`)),
    ]);
    // Nobody begins twice because others had to wait.
    expect(ended.events.filter(({ type }) => type === 'start')).toHaveLength(4);
    expect(pictures(store)).toEqual(await soundPictures());
  });

  test.each([
    ['memory for a session', 'load', 75, 'OutOfMemory', 'does not load on cpu: out of memory', MEMORY_HINT],
    [
      'a type without a kernel',
      'kernel',
      2,
      'UnsupportedOperator',
      'does not load on cpu: node "/refused/Elu_1" (Elu): cpu has no kernel for it with its types',
      'choose another provider with --provider, or a model that does without this operator or type',
    ],
    [
      'a node that fails',
      'node',
      2,
      'InvalidModel',
      'fails to run on cpu: node "/refused/Gather_0" (Gather): indices element out of data bounds, idx=1073741824 must be within the inclusive range [-1,0]',
      'the same call fails every time: check the model, and what it is given',
    ],
  ])('%s: one line, and everything is saved', async (_, how, exit, code, message, hint) => {
    const store = await temporaryFolder();
    const ended = await refused(store, how);
    expect([ended.code, ended.stderr]).toEqual([exit, '']);
    expect(ended.events.at(-1)).toMatchObject({ error: { code, message: `session "alignment-3" ${message}`, hint } });
    const again = await new Referee(several(store)).ended;
    expect(again.code).toBe(0);
    const starts = again.events.filter(({ type }) => type === 'start');
    expect(starts.map(({ step }) => step)).toEqual([STARTED, STARTED, STARTED, STARTED]);
    expect(pictures(store)).toEqual(await soundPictures());
  });
});
