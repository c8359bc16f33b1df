import { expect, test } from 'vitest';

import { invert, openRun } from '../../index.ts';
import { temporaryFolder } from '../support/folder.ts';

const first = async (...call: readonly [unknown, unknown?]): Promise<unknown> =>
  invert(...(call as Parameters<typeof invert>)).next();
const open = async (settings: unknown): Promise<unknown> => openRun(settings as Parameters<typeof openRun>[0]);

const circle = { prompt: 'a red circle' };

test.each([
  [{ stroe: 'x' }, 'invert: unknown setting "stroe": did you mean "store"?'],
  [{ threads: 0 }, 'invert: threads: expected a whole number from 1 to 1024, found 0'],
  [
    { provider: 'gpu' },
    'invert: provider: expected one of auto, cpu, cuda, tensorrt, webgpu, dml, coreml, found "gpu"',
  ],
  [
    { store: {} },
    'invert: store: expected a folder, a file: URL, s3://bucket/prefix or an object store, found another object',
  ],
  [{ signal: {} }, 'invert: signal: expected an AbortSignal, found another object'],
  ['shapes', 'invert: settings: expected an object, found "shapes"'],
])('settings %j of invert: one line', async (settings, message) => {
  await expect(first(circle, settings)).rejects.toMatchObject({ code: 'InvalidOption', message });
});

test.each([
  [{ prompt: ' ' }, '"prompt": expected a description of the image, found " "'],
  [{}, '"prompt": expected text, found nothing'],
  [{ ...circle, stepz: 3 }, 'unknown field "stepz": did you mean "steps"?'],
  [{ ...circle, steps: 0 }, '"steps": expected a whole number from 1 to 10000, found 0'],
  [{ ...circle, guidance: NaN }, '"guidance": expected a number from 0 to 1000, found NaN'],
  [{ ...circle, seeds: [1, 2] }, '"seeds": expected one seed, found 2: that is for openRun'],
  [{ ...circle, width: 512 }, '"width": expected 64, the size of pack shapes, found 512'],
  [{ prompt: 'a red dog' }, 'prompt: the pack "shapes" does not know "dog"'],
])('spec %j of invert: one line', async (spec, message) => {
  await expect(first(spec)).rejects.toMatchObject({ code: 'InvalidInput', message });
});

test('a pack that is not there, and a store that is a file', async () => {
  await expect(first(circle, { pack: 'none' })).rejects.toMatchObject({ code: 'PackNotFound' });
  const store = new URL(import.meta.url).pathname;
  await expect(first(circle, { store })).rejects.toMatchObject({ code: 'InvalidStore' });
});

test('a signal that has fired before: nothing is written', async () => {
  const store = `${await temporaryFolder()}/runs`;
  const reason = new Error('no time');
  const signal = AbortSignal.abort(reason);
  await expect(first(circle, { store, signal })).rejects.toMatchObject({ code: 'Interrupted', cause: reason });
  const { existsSync } = await import('node:fs');
  expect(existsSync(store)).toBe(false);
});

test.each([
  [{ input: 'a red circle' }, 'openRun: input: expected an iterable of prompts, found "a red circle"'],
  [{}, 'openRun: input: expected an iterable of prompts, found undefined'],
  [{ input: [], lanes: 0 }, 'openRun: lanes: expected a whole number from 1 to 256, found 0'],
  [{ input: [], lanes: 2, concurrency: 2 }, 'openRun: expected either "concurrency" or "lanes", found both'],
  [{ input: [], options: { guidanc: 1 } }, 'unknown option "guidanc": did you mean "guidance"?'],
  [{ input: [], id: 'mine' }, 'openRun: "id": an array has the id of its items; found one besides'],
])('settings %j of openRun: one line', async (settings, message) => {
  await expect(open(settings)).rejects.toMatchObject({ code: 'InvalidOption', message });
});

test('an id of a run that is no name', async () => {
  await expect(open({ input: new Set(), id: '../x' })).rejects.toMatchObject({ code: 'InvalidInput' });
});

test('no prompts are no results, and no device', async () => {
  const run = await openRun({ input: [] });
  expect(await run.results().next()).toEqual({ done: true, value: undefined });
});
