import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount, mountedFolder } from '../support/mount.ts';
import { temporaryFolder } from '../support/folder.ts';
import { ONE_DEVICE, Referee, referee } from './support/command.ts';
import { refused } from './support/refused.ts';
import { lasting } from './support/runs.ts';
import { Watch, filesOf, tornFiles } from './support/whole-files.ts';

const shapes = join(import.meta.dirname, '../../packs/shapes');
/** Checkpoints after 4, 8 and 12 steps, of which the last two stay. */
const SETTINGS = ['--method', 'distil', '--steps', '12', '--checkpoint-every', '4', '--seed', '7', ...ONE_DEVICE];

let folder: string;
let undisturbed: ReturnType<typeof lasting>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'referee-store-'));
  expect((await referee(words(join(folder, 'undisturbed')))).code).toBe(0);
  undisturbed = lasting(join(folder, 'undisturbed'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function words(store: string, prompt = 'a red circle'): string[] {
  return ['run', prompt, '--store', store, ...SETTINGS];
}

describe('a place that is no store', () => {
  test('that is a file, or below one', async () => {
    const file = join(folder, 'file.txt');
    writeFileSync(file, '');
    for (const store of [file, join(file, 'runs')])
      expect(await refused(words(store))).toMatch(/^store ".*file\.txt.*" must be a folder, found a file$/);
    expect(statSync(file).size).toBe(0);
  });

  test('in which nothing can be written: a folder of the system', async () => {
    expect(await refused(words('/proc/referee'))).toMatch(/^store "\/proc\/referee": cannot write/);
  });

  test('that may not be changed', async () => {
    const store = mkdtempSync(join(folder, 'store-'));
    const isRoot = process.getuid?.() === 0;
    const [forbid, allow] = isRoot
      ? [
          ['chattr', '+i'],
          ['chattr', '-i'],
        ]
      : [
          ['chmod', '555'],
          ['chmod', '755'],
        ];
    execFileSync(forbid[0]!, [forbid[1]!, store]);
    try {
      expect(await refused(words(store))).toMatch(/: cannot write, no permission \((EPERM|EACCES)\)$/);
      expect(readdirSync(store)).toEqual([]);
    } finally {
      execFileSync(allow[0]!, [allow[1]!, store]);
      rmSync(store, { recursive: true });
    }
  });
});

describe('a store that is full', () => {
  test.runIf(canMount)('from the beginning: nothing is written (needs a mount)', async () => {
    const store = mountedFolder('64k');
    writeFileSync(join(store, 'filler'), Buffer.alloc(60_000));
    expect(await refused(words(store))).toMatch(
      /^store ".*": (no space left on the device|\S+ MB free, about \S+ MB needed)$/,
    );
    expect(readdirSync(store)).toEqual(['filler']);
  });

  test.runIf(canMount)('in the middle of a run: one line; with space again it goes on (needs a mount)', async () => {
    const store = mountedFolder('512k');
    const filler = join(store, 'filler');
    const full = await referee([...words(store), '--json'], {
      onOutput: (text) => {
        if (text.includes('"type":"checkpoint","step":4')) fill(filler);
      },
    });
    expect([full.code, full.stderr]).toEqual([2, '']);
    expect(full.events.at(-1)).toMatchObject({
      error: {
        code: 'StoreFull',
        message: `store "${store}": no space left on the device`,
        hint: 'free some space and run the same command again: it goes on',
      },
    });
    // The log of the attempt finds no space either, which is a note: the search is what counts.
    expect(full.events.at(-2)).toMatchObject({ type: 'note', message: expect.stringContaining('log') as string });
    expect(full.events.at(-3)).toMatchObject({ type: 'step' });
    expect(await refused(words(store))).toMatch(/no space left|MB needed/);
    rmSync(filler);
    expect(tornFiles(store)).toEqual([]);

    const again = await referee([...words(store), '--json']);
    expect(again.code).toBe(0);
    expect(again.events.find(({ type }) => type === 'start')).toMatchObject({ step: 4 });
    expect(lasting(store)).toEqual(undisturbed);
  });
});

/** Takes all space that is left. */
function fill(file: string): void {
  for (const size of [65_536, 4096, 512]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
}

describe('a checkpoint', () => {
  /** A store with the finished run whose picture is lost, and the files of its checkpoints, newest first. */
  async function storeWithoutPicture(): Promise<{ store: string; checkpoints: string[] }> {
    const store = join(await temporaryFolder(), 'store');
    cpSync(join(folder, 'undisturbed'), store, { recursive: true });
    for (const file of filesOf(store)) if (/image\.png|result\.json/.test(file)) rmSync(join(store, file));
    const checkpoints = filesOf(store).filter((file) => file.includes('/checkpoints/'));
    expect(checkpoints.map((file) => file.slice(-23))).toEqual(['step-000008.safetensors', 'step-000012.safetensors']);
    return { store, checkpoints: checkpoints.reverse().map((file) => join(store, file)) };
  }

  test('that is whole is gone on from', async () => {
    const { store } = await storeWithoutPicture();
    const { events } = await referee([...words(store), '--json']);
    expect(events.find(({ type }) => type === 'start')).toMatchObject({ step: 12 });
    expect(events.filter(({ type }) => type === 'step')).toEqual([]);
    expect(lasting(store)).toEqual(undisturbed);
  });

  test.each([
    ['cut off', (path: string) => truncateSync(path, statSync(path).size >> 1)],
    ['empty', (path: string) => truncateSync(path, 0)],
    ['changed in one bit', flip],
  ])('that is %s is passed over with a note; the one before it serves, or the beginning', async (_, damage) => {
    const { store, checkpoints } = await storeWithoutPicture();
    damage(checkpoints[0]!);
    const one = await referee([...words(store), '--json']);
    expect(one.code).toBe(0);
    const passedOver = one.events.filter(
      ({ type, message }) => type === 'note' && /^passed over/.test(String(message)),
    );
    expect(passedOver.map(({ message }) => message)).toEqual([expect.stringContaining(checkpoints[0]!)]);
    expect(one.events.find(({ type }) => type === 'start')).toMatchObject({ step: 8 });
    expect(lasting(store)).toEqual(undisturbed);

    const second = await storeWithoutPicture();
    second.checkpoints.forEach(damage);
    const all = await referee(words(second.store));
    expect(all.code).toBe(0);
    expect(all.stderr.match(/^note: passed over /gm)).toHaveLength(2);
    expect(lasting(second.store)).toEqual(undisturbed);
  });

  test('of another prompt is refused by name', async () => {
    const { store, checkpoints } = await storeWithoutPicture();
    const other = join(folder, 'other');
    expect((await referee(words(other, 'a blue square'))).code).toBe(0);
    copyFileSync(
      join(
        other,
        filesOf(other).findLast((file) => file.includes('/checkpoints/'))!,
      ),
      checkpoints[0]!,
    );
    expect(await refusedLate(store)).toMatch(/step-000012\.safetensors: belongs to another prompt, seed or settings: /);
    rmSync(checkpoints[0]!);
    expect((await referee(words(store))).code).toBe(0);
    expect(lasting(store)).toEqual(undisturbed);
  });

  test('of another pack is refused by name', async () => {
    const { store, checkpoints } = await storeWithoutPicture();
    const [pack, other] = [join(folder, 'pack'), join(folder, 'other-pack')];
    cpSync(shapes, pack, { recursive: true });
    const manifest = join(pack, 'manifest.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"1.0.0"', '"1.0.1"'));
    expect((await referee([...words(other), '--pack', pack])).code).toBe(0);
    copyFileSync(
      join(
        other,
        filesOf(other).findLast((file) => file.includes('/checkpoints/'))!,
      ),
      checkpoints[0]!,
    );
    expect(await refusedLate(store)).toMatch(/step-000012\.safetensors: belongs to another pack: packDigest found /);
  });
});

/** One line and a hint, after the plan was told: checkpoints are read when their search begins. */
async function refusedLate(store: string): Promise<string> {
  const { code, stderr } = await referee([...words(store), '--quiet']);
  const [error, hint, ...rest] = stderr.trimEnd().split('\n');
  expect([code, rest]).toEqual([2, []]);
  expect(hint).toBe('hint: delete that file, or choose another --store');
  return error!;
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - 5]! ^= 1;
  writeFileSync(path, bytes);
}

test('two processes in the same store at the same time both end well, with the same bytes', async () => {
  const store = join(await temporaryFolder(), 'store');
  using watch = new Watch(store);
  const both = [new Referee([...words(store), '--json']), new Referee([...words(store), '--json'])];
  const ended = await Promise.all(both.map((child) => child.ended));
  expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual(ended.map(() => [0, '']));
  for (const { events } of ended) expect(events.at(-1)).toMatchObject({ type: 'summary', succeeded: 1, failed: 0 });
  expect(watch.torn).toEqual([]);
  expect(lasting(store)).toEqual(undisturbed);
  expect(readdirSync(store, { recursive: true }).filter((file) => String(file).includes('.tmp-'))).toEqual([]);
});
