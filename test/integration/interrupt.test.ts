import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { temporaryFolder } from '../support/folder.ts';
import { ONE_DEVICE, Referee, referee } from './support/command.ts';
import type { Event } from './support/command.ts';
import { lasting } from './support/runs.ts';
import { tornFiles } from './support/whole-files.ts';

const PROMPT = 'a red circle to the left of a blue square';

/** Enough steps that a signal comes in time, and that no checkpoint falls due before it. */
const SETTINGS = ['--steps', '40', '--checkpoint-every', '1000', ...ONE_DEVICE];

let folder: string;
let undisturbed: ReturnType<typeof lasting>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'referee-interrupt-'));
  expect((await referee(words(join(folder, 'undisturbed')))).code).toBe(0);
  undisturbed = lasting(join(folder, 'undisturbed'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function words(store: string, ...more: string[]): string[] {
  return ['run', PROMPT, '--seed', '7', ...SETTINGS, '--store', store, ...more];
}

function isStep(step: number): (event: Event) => boolean {
  return (event) => event['type'] === 'step' && event['step'] === step;
}

/** The words behind `go on with: referee`, as a shell takes them apart. */
function wordsOfHint(stderr: string): string[] {
  const command = /^hint: go on with: referee (.*)$/m.exec(stderr)![1]!;
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, inQuotes, plain]) => inQuotes ?? plain!);
}

describe('one signal', () => {
  test.each([
    ['distil', ['--steps', '10']],
    ['sample', ['--sample-steps', '10']],
    ['best-of', ['--sample-steps', '4', '--candidates', '3']],
  ])('%s goes on from the step where it was stopped', async (method, flags) => {
    const argv = ['run', PROMPT, '--json', '--seed', '7', '--method', method, ...flags, ...ONE_DEVICE];
    const [alone, stopped] = [await temporaryFolder(), await temporaryFolder()];
    expect((await referee([...argv, '--store', alone])).code).toBe(0);
    const first = await referee([...argv, '--store', stopped], {
      onOutput: (text) => {
        if (text.includes('"type":"step","step":7,')) process.emit('SIGINT');
      },
    });
    expect(first.code).toBe(130);
    const second = await referee([...argv, '--store', stopped]);
    expect(second.code).toBe(0);
    expect(second.events.find(({ type }) => type === 'start')).toMatchObject({ step: 7 });
    expect(lasting(stopped)).toEqual(lasting(alone));
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s keeps every step that was made and exits with %d; the printed command ends it',
    async (signal, code) => {
      const store = join(await temporaryFolder(), 'store');
      const child = new Referee(words(store, '--json'));
      await child.event(isStep(5));
      child.kill(signal);
      const ended = await child.ended;
      expect(ended.code).toBe(code);
      expect(ended.stderr).toBe('saving all searches at their next step; Ctrl-C again stops at once\n');
      const made = ended.events.findLast(({ type }) => type === 'step')!['step'];
      expect(ended.events.find(({ type }) => type === 'checkpoint')).toMatchObject({ step: made });
      expect(ended.events.at(-2)).toMatchObject({ type: 'summary', interrupted: true, unfinished: 1, succeeded: 0 });
      expect(ended.events.at(-1)).toMatchObject({ v: 1, error: { code: 'Interrupted' } });
      expect(tornFiles(store)).toEqual([]);

      const again = await referee(words(store, '--json'));
      expect(again.code).toBe(0);
      expect(again.events.find(({ type }) => type === 'plan')).toMatchObject({ continued: 1, started: 0 });
      expect(again.events.find(({ type }) => type === 'start')).toMatchObject({ step: made });
      expect(lasting(store)).toEqual(undisturbed);
    },
  );

  test('is answered in plain words with a command that ends the run, and after that there is nothing to do', async () => {
    const store = join(await temporaryFolder(), 'store with spaces');
    const child = new Referee(words(store));
    await child.stderrHas('run     ');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await child.ended;
    expect([code, stdout]).toEqual([130, '']);
    expect(stderr).toMatch(/^error: interrupted: 0 done, 1 saved to go on$/m);
    const printed = wordsOfHint(stderr);
    expect(printed).toEqual(words(store));

    const ended = await referee(printed);
    expect(ended.code).toBe(0);
    expect(lasting(store)).toEqual(undisturbed);
    const image = ended.stdout.split('  ')[0]!;
    const written = readFileSync(image);

    const nothing = await referee([...printed, '--json']);
    expect(nothing.code).toBe(0);
    expect(nothing.stderr).toBe('nothing to do: every image is there\n');
    expect(nothing.events.map(({ type }) => type)).toEqual(['skipped', 'summary']);
    expect(nothing.events[0]).toMatchObject({ path: image });
    expect((await referee(printed)).stdout).toBe(ended.stdout);
    expect(readFileSync(image).equals(written)).toBe(true);
  });
});

test('the second signal stops at once, within a step; nothing is torn, and the same command ends the run', async () => {
  const store = join(await temporaryFolder(), 'store');
  const child = new Referee(words(store, '--json'));
  await child.event(({ type }) => type === 'plan');
  child.kill('SIGINT');
  await child.stderrHas('stops at once');
  const begun = performance.now();
  child.kill('SIGINT');
  const { code, events, stderr } = await child.ended;
  expect(code).toBe(130);
  // Models are being loaded at that moment, which alone takes longer on a busy machine than what is allowed here.
  expect(performance.now() - begun).toBeLessThan(3000);
  expect(events.at(-1)).toMatchObject({ type: 'plan' });
  expect(stderr).toBe('saving all searches at their next step; Ctrl-C again stops at once\n');
  expect(tornFiles(store)).toEqual([]);
  expect((await referee(words(store))).code).toBe(0);
  expect(lasting(store)).toEqual(undisturbed);
});

test('a reader that goes away ends the command without a word; the same command goes on', async () => {
  const store = join(await temporaryFolder(), 'store');
  const child = new Referee([...words(store, '--json'), '--checkpoint-every', '4']);
  await child.event(({ type, step }) => type === 'checkpoint' && step === 4);
  child.process.stdout!.destroy();
  const { code, stderr } = await child.ended;
  expect([code, stderr]).toEqual([141, '']);
  expect(tornFiles(store)).toEqual([]);
  const again = await referee(words(store, '--json'));
  expect(again.events.find(({ type }) => type === 'plan')).toMatchObject({ continued: 1 });
  expect(lasting(store)).toEqual(undisturbed);
});
