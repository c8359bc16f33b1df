import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { sha256 } from '../../store/ids.ts';
import { temporaryFolder } from '../support/folder.ts';
import { ONE_DEVICE, Referee } from './support/command.ts';

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
