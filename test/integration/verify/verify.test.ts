import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { sha256 } from '../../../store/ids.ts';
import { decodePng, encodePng, readPngText } from '../../../store/png.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { ONE_DEVICE, referee } from '../support/command.ts';
import type { Ended } from '../support/command.ts';
import { filesOf } from '../support/whole-files.ts';

const PROMPTS = ['a red circle', 'a blue square', 'a green cross', 'two red squares'];

let folder: string;
let run: string;
/** In the order of the input. */
let items: string[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'referee-verify-'));
  const records = PROMPTS.map((prompt, i) => ({
    prompt,
    // Every method has a state of its own in its checkpoints.
    ...[{ steps: 4 }, { method: 'distil', steps: 4 }, { method: 'sample', sampleSteps: 3 }, BEST_OF][i],
  }));
  const input = join(folder, 'prompts.jsonl');
  writeFileSync(input, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const argv = ['run', input, '--store', join(folder, 'whole'), '--checkpoint-every', '2', '--quiet', ...ONE_DEVICE];
  expect((await referee(argv)).code).toBe(0);
  [run] = readdirSync(join(folder, 'whole')) as [string];
  items = linesOf(join(folder, 'whole', run, 'prompts/part-00000.jsonl')).map(({ item }) => String(item));
});

afterAll(() => rmSync(folder, { recursive: true }));

const BEST_OF = { method: 'best-of', sampleSteps: 2, candidates: 2 };

type Row = Record<string, unknown>;

function linesOf(file: string): Row[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
}

/** A copy of the run of which `damage` gets the folder. */
async function damaged(damage: (at: string) => unknown): Promise<string> {
  const store = await temporaryFolder();
  cpSync(join(folder, 'whole'), store, { recursive: true });
  await damage(join(store, run));
  return store;
}

function verify(store: string, ...more: readonly string[]): Promise<Ended> {
  return referee(['verify', run, '--store', store, '--threads', '1', ...more]);
}

/** Keys of faults, without the run's, and what is said of each. */
async function faultsOf(
  store: string,
  ...more: readonly string[]
): Promise<{ code: number | null; faults: [string, string][] }> {
  const { code, events } = await verify(store, '--json', ...more);
  expect(events).toHaveLength(1);
  const found = events[0]!['faults'] as { key: string; what: string }[];
  expect((events[0]!['counts'] as Row)['faults']).toBe(found.length);
  return { code, faults: found.map(({ key, what }) => [key.replace(`${run}/`, ''), what]) };
}

/** A byte in the middle is another one. */
function flip(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 0x40;
  writeFileSync(file, bytes);
}

test('a run as it was left is right, nothing is written, and every item comes to its bytes again', async () => {
  const store = join(folder, 'whole');
  const before = filesOf(store);
  const { code, stdout, stderr } = await verify(store, '--replay', 'all');
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^provider cpu[^\n]*\n$/)]);
  expect(stdout).toContain(`${run} in ${store}: 4 items, pack shapes`);
  expect(stdout).toContain('items     4 succeeded, 0 failed\n');
  expect(stdout).toContain('manifest  4 lines');
  expect(stdout).toContain('digests   right: 4 pictures, 4 specs, 4 latents, ');
  expect(stdout).toMatch(/^replayed {2}4 of 4 have the same bytes, searched from nothing on cpu /m);
  expect(stdout).toMatch(/^faults {4}none$/m);
  expect(filesOf(store)).toEqual(before);
});

describe('damage is found and named', () => {
  test.each<[string, string, RegExp, (at: string) => unknown]>([
    [
      'a flipped byte in a picture',
      'items/#0/image.png',
      /^has digest \w{12}, result\.json says \w{12}$/,
      (at) => flip(join(at, `items/${items[0]}/image.png`)),
    ],
    [
      'a result that is cut off',
      'items/#1/result.json',
      /^not JSON/,
      (at) => truncate(join(at, `items/${items[1]}/result.json`)),
    ],
    [
      'an item that was deleted',
      'items/#2/',
      /is missing; manifest\.jsonl has its result/,
      (at) => rmSync(join(at, 'items', items[2]!), { recursive: true }),
    ],
    [
      'a result that was deleted',
      'items/#2/result.json',
      /is missing; manifest\.jsonl has its result/,
      (at) => rmSync(join(at, `items/${items[2]}/result.json`)),
    ],
    [
      'a picture that was deleted',
      'items/#2/image.png',
      /^is missing$/,
      (at) => rmSync(join(at, `items/${items[2]}/image.png`)),
    ],
    [
      'a line of the manifest that is there twice',
      'manifest.jsonl:3',
      /is there twice/,
      (at) => edit(join(at, 'manifest.jsonl'), (lines) => lines.splice(2, 0, lines[1]!)),
    ],
    [
      'a line of the manifest that is missing',
      'manifest.jsonl',
      /has no line of item/,
      (at) => edit(join(at, 'manifest.jsonl'), (lines) => lines.splice(1, 1)),
    ],
    [
      'another order of the manifest',
      'manifest.jsonl:2',
      /not in the order of the prompts/,
      (at) => edit(join(at, 'manifest.jsonl'), (lines) => lines.splice(0, 2, lines[1]!, lines[0]!)),
    ],
    [
      'a manifest of other numbers',
      'manifest.jsonl:1',
      /not the same as result\.json/,
      (at) =>
        edit(join(at, 'manifest.jsonl'), (lines) => lines.splice(0, 1, lines[0]!.replace('"seconds":', '"seconds":1'))),
    ],
    ['a manifest that is cut off', 'manifest.jsonl:4', /is cut off/, (at) => truncate(join(at, 'manifest.jsonl'), 5)],
    ['a manifest that is gone', 'manifest.jsonl', /is missing/, (at) => rmSync(join(at, 'manifest.jsonl'))],
    [
      'an item that is not of the run',
      'items/iffffffffffffffffffff/',
      /is no item of the run/,
      (at) => cpSync(join(at, 'items', items[0]!), join(at, 'items/iffffffffffffffffffff'), { recursive: true }),
    ],
    [
      'an empty folder that is not of the run',
      'items/extra/',
      /is no item of the run/,
      (at) => mkdirSync(join(at, 'items/extra')),
    ],
    ['a foreign file', 'notes.txt', /is no file of a run/, (at) => writeFileSync(join(at, 'notes.txt'), 'x')],
    [
      'half a write',
      'items/#0/.tmp-0-1-0',
      /is half a write/,
      (at) => writeFileSync(join(at, `items/${items[0]}/.tmp-0-1-0`), 'x'),
    ],
    [
      'a checkpoint with a flipped byte',
      'items/#0/checkpoints/step-000004.safetensors',
      /digest|cannot be read/,
      (at) => flip(join(at, `items/${items[0]}/checkpoints/step-000004.safetensors`)),
    ],
    [
      'a spec of other settings',
      'items/#0/spec.json',
      /its content has digest \w{12}, it says/,
      (at) => replace(join(at, `items/${items[0]}/spec.json`), '"steps": 4', '"steps": 5'),
    ],
    [
      'a trace without its last step',
      'items/#0/trace.jsonl',
      /has 3 steps, result\.json says 4/,
      (at) => edit(join(at, `items/${items[0]}/trace.jsonl`), (lines) => lines.pop()),
    ],
    [
      'a preview that is cut off',
      'items/#0/previews/step-000001.webp',
      /^expected \d+ bytes, found \d+$/,
      (at) => truncate(join(at, `items/${items[0]}/previews/step-000001.webp`), 1),
    ],
    [
      'a contact sheet that is cut off',
      'contact-sheet.png',
      /cut off/,
      (at) => truncate(join(at, 'contact-sheet.png'), 20),
    ],
    [
      'a line of the prompts that is there twice',
      'prompts/part-00000.jsonl:2',
      /expected item 1, found 0/,
      (at) => edit(join(at, 'prompts/part-00000.jsonl'), (lines) => lines.splice(1, 1, lines[0]!)),
    ],
    [
      'a run.json of other items',
      'run.json',
      /says 5 items; prompts\/ has 4/,
      (at) => replace(join(at, 'run.json'), '"items": 4', '"items": 5'),
    ],
  ])('%s', async (_, key, what, damage) => {
    const found = await faultsOf(await damaged(damage), '--replay', '0');
    const expected = key.replace(/#(\d)/, (_all, at: string) => items[Number(at)]!);
    expect(found.faults).toContainEqual([expected, expect.stringMatching(what) as string]);
    expect(found.code).toBe(3);
  });
});

test('a wrong picture with a right digest is found by searching again, and by that alone', async () => {
  const [item] = items as [string];
  const store = await damaged(async (at) => {
    const file = join(at, `items/${item}/image.png`);
    const png = readFileSync(file);
    const { width, height, data } = await decodePng(png);
    const forged = await encodePng({ width, height, data: data.map((value) => 255 - value) }, readPngText(png));
    writeFileSync(file, forged);
    for (const each of [`items/${item}/result.json`, 'manifest.jsonl'])
      replace(join(at, each), sha256(png), sha256(forged));
  });
  expect(await faultsOf(store, '--replay', '0')).toEqual({ code: 0, faults: [] });
  const found = await faultsOf(store, '--replay', '4');
  expect(found).toEqual({
    code: 3,
    faults: [
      [`items/${item}/image.png`, expect.stringMatching(/^searched again from nothing it has digest/) as string],
    ],
  });
});

test('people get a line for each fault, which names the key, before the table', async () => {
  const store = await damaged((at) => flip(join(at, `items/${items[0]}/image.png`)));
  const { code, stdout, stderr } = await verify(store, '--replay', '0');
  expect(code).toBe(3);
  expect(stdout.split('\n')[0]).toMatch(new RegExp(`^fault {5}${run}/items/${items[0]}/image\\.png: has digest`));
  expect(stdout).toMatch(/^faults {4}1$/m);
  expect(stderr).toBe(`error: run ${run}: 1 fault\n`);
});

test('pictures of another machine are not searched again, and that is said', async () => {
  const store = await damaged((at) => {
    for (const item of items)
      replace(join(at, `items/${item}/result.json`), /"devices":\["[^"]*"\]/, '"devices":["cpu riscv Unknown"]');
    replace(join(at, 'manifest.jsonl'), /"devices":\["[^"]*"\]/g, '"devices":["cpu riscv Unknown"]');
  });
  const { code, stdout } = await verify(store, '--replay', '2');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^replayed {2}none; bytes can be compared only where .* were made on cpu riscv Unknown, referee /m,
  );
});

test('a run that is not finished is exit code 2, and is not searched', async () => {
  const store = await damaged((at) => {
    rmSync(join(at, 'items', items[3]!), { recursive: true });
    edit(join(at, 'manifest.jsonl'), (lines) => lines.pop());
  });
  const { code, stdout, stderr } = await verify(store);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^error: run \w+ is not finished: 1 of 4 items have no result\nhint: referee resume/);
  expect(stdout).toContain('items     3 succeeded, 0 failed, 1 without a result');
});

test('an unknown run is exit code 4, a pack that is not there 2 and before any work', async () => {
  const whole = join(folder, 'whole');
  const unknown = await referee(['verify', 'r000000000000', '--store', whole]);
  expect([unknown.code, unknown.stdout]).toEqual([4, '']);
  expect(unknown.stderr).toMatch(/^error: run r000000000000 is not in the store/);
  const other = await verify(whole, '--pack', join(folder, 'no-such-pack'));
  expect([other.code, other.stdout]).toEqual([2, '']);
  expect(other.stderr).toContain('--replay 0 none are needed');
  expect(await verify(whole, '--replay', 'most')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--replay: expected a whole number, 0 for none, or all, found "most"') as string,
  });
});

function truncate(file: string, by = 100): void {
  writeFileSync(file, readFileSync(file).subarray(0, -by));
}

function edit(file: string, change: (lines: string[]) => unknown): void {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  change(lines);
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
}

function replace(file: string, from: string | RegExp, to: string): void {
  const text = readFileSync(file, 'utf8');
  const changed = text.replace(from, to);
  expect(changed).not.toBe(text);
  writeFileSync(file, changed);
}
