import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, readdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { execa } from 'execa';
import { describe, expect, test } from 'vitest';

import { FileStore } from '../../store/file-store.ts';
import { asItemId, asRunId, itemKey, promptsKey, runKey } from '../../store/layout.ts';
import type { ObjectKey } from '../../store/layout.ts';
import { temporaryFolder } from '../support/folder.ts';
import { canMount, makeReadOnly, mountedFolder } from '../support/mount.ts';

const run = asRunId('r1');
const image = itemKey(run, asItemId('i1'), 'image.png');
const child = (name: string): string => fileURLToPath(new URL(`./children/${name}.ts`, import.meta.url));

describe('objects', () => {
  test('come back as they were put, and a later put replaces them', async () => {
    const store = new FileStore(await temporaryFolder());
    expect(await store.get(image)).toBeUndefined();
    expect(await store.head(image)).toBeUndefined();
    await store.put(image, Uint8Array.of(1, 2, 3));
    await store.put(image, Uint8Array.of(9, 8));
    expect(Buffer.from((await store.get(image))!)).toEqual(Buffer.of(9, 8));
    expect(await store.head(image)).toEqual({ bytes: 2 });
  });

  test('that are put once keep the first content', async () => {
    const store = new FileStore(await temporaryFolder());
    expect(await store.put(runKey(run), 'first', { once: true })).toBe('written');
    expect(await store.put(runKey(run), 'second', { once: true })).toBe('exists');
    expect(Buffer.from((await store.get(runKey(run)))!).toString()).toBe('first');
  });

  test('are listed by prefix, sorted, without foreign and unfinished files', async () => {
    const folder = await temporaryFolder();
    const store = new FileStore(folder);
    const keys = [promptsKey(run, 1), promptsKey(run, 0), runKey(run), image];
    for (const key of keys) await store.put(key, 'x');
    await writeFile(join(folder, 'r1', 'notes.txt'), 'mine');
    await writeFile(join(folder, 'r1', `.tmp-00000000-1-0123456789abcdef`), 'half');
    expect(await store.list('r1/')).toEqual([...keys].sort());
    expect(await store.list('r1/prompts/')).toEqual([promptsKey(run, 0), promptsKey(run, 1)]);
    expect(await store.list('r2/')).toEqual([]);
  });

  test('can be deleted twice', async () => {
    const store = new FileStore(await temporaryFolder());
    await store.put(image, 'x');
    await store.delete(image);
    await store.delete(image);
    expect(await store.get(image)).toBeUndefined();
  });

  test.each(['../outside', '/etc/passwd', 'r1/../../x', 'r1/items/../../run.json', 'r1/items/i1/other.txt'])(
    'are never reached by a key that the layout does not make: %s',
    async (key) => {
      const store = new FileStore(await temporaryFolder());
      await expect(store.put(key as ObjectKey, 'x')).rejects.toThrow('not a key of the store');
      await expect(store.get(key as ObjectKey)).rejects.toThrow('not a key of the store');
    },
  );
});

describe('a process that is killed while it writes', () => {
  test('leaves the old object or the new one, never a part', async () => {
    const folder = await temporaryFolder();
    for (let round = 0; round < 8; round++) {
      const writer = spawn(process.execPath, ['--import', 'tsx', child('overwrite'), folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(writer.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
      writer.kill('SIGKILL');
      await once(writer, 'exit');
      const found = await readFile(join(folder, image));
      expect(found.length).toBe(4_000_000);
      expect(found.equals(Buffer.alloc(4_000_000, found[0]))).toBe(true);
    }
  });

  test('leaves a temporary file that the next writer removes', async () => {
    const folder = await temporaryFolder();
    const inside = dirname(join(folder, image));
    const writer = spawn(process.execPath, ['--import', 'tsx', child('overwrite'), folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(writer.stdout, 'data');
    const deadline = Date.now() + 20_000;
    while (!(await readdir(inside)).some((name) => name.startsWith('.tmp-'))) expect(Date.now()).toBeLessThan(deadline);
    writer.kill('SIGSTOP');
    const leftovers = (await readdir(inside)).filter((name) => name.startsWith('.tmp-'));
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    await new FileStore(folder).put(image, 'new');
    expect((await readdir(inside)).filter((name) => leftovers.includes(name))).toEqual([]);
    expect(await readdir(inside)).toEqual(['image.png']);
  });
});

describe('temporary files', () => {
  test('of a living process stay; those of other machines go when they are old', async () => {
    const folder = await temporaryFolder();
    const inside = dirname(join(folder, image));
    await mkdir(inside, { recursive: true });
    const [own] = await namesDuringPut(folder);
    const host = /^\.tmp-([0-9a-f]{8})/.exec(own!)![1]!;
    const living = `.tmp-${host}-${process.ppid}-0123456789abcdef`;
    const dead = `.tmp-${host}-4194999-0123456789abcdef`;
    const elsewhereNew = '.tmp-00000000-4194999-0123456789abcdef';
    const elsewhereOld = '.tmp-00000000-4194999-fedcba9876543210';
    for (const name of [living, dead, elsewhereNew, elsewhereOld]) await writeFile(join(inside, name), 'x');
    const hoursAgo = Date.now() / 1000 - 7200;
    await utimes(join(inside, elsewhereOld), hoursAgo, hoursAgo);
    await new FileStore(folder).put(image, 'new');
    expect((await readdir(inside)).sort()).toEqual([elsewhereNew, living, 'image.png'].sort());
  });
});

/** Temporary names that this process uses, seen while it writes. */
async function namesDuringPut(folder: string): Promise<string[]> {
  const inside = dirname(join(folder, image));
  const put = new FileStore(folder).put(image, Buffer.alloc(20_000_000));
  const deadline = Date.now() + 20_000;
  let names: string[] = [];
  while (names.length === 0) {
    expect(Date.now()).toBeLessThan(deadline);
    names = (await readdir(inside)).filter((name) => name.startsWith('.tmp-'));
  }
  await put;
  return names;
}

describe('two processes', () => {
  test('that put the same keys once: each key is written by exactly one, whole', async () => {
    const folder = await temporaryFolder();
    const [keys, at] = ['150', String(Date.now() + 2500)];
    const results = await Promise.all(
      ['a', 'b'].map((name) => execa(process.execPath, ['--import', 'tsx', child('race'), folder, name, keys, at])),
    );
    const [a, b] = results.map(({ stdout }) => JSON.parse(stdout) as number[]);
    expect([...a!, ...b!].sort((x, y) => x - y)).toEqual(Array.from({ length: 150 }, (_, i) => i));
    for (const [name, won] of Object.entries({ a: a!, b: b! })) {
      for (const i of won) expect(await readFile(join(folder, promptsKey(run, i)), 'utf8')).toBe(name.repeat(50_000));
    }
  });
});

test('folders that several writers create at the same time', async () => {
  for (let round = 0; round < 50; round++) {
    const folder = join(await temporaryFolder(), 'a', 'b', 'c');
    await Promise.all(Array.from({ length: 8 }, () => new FileStore(folder).put(image, 'x')));
    expect(await readdir(dirname(join(folder, image)))).toEqual(['image.png']);
  }
});

describe('the check before any work', () => {
  test('creates the folder and leaves nothing in it', async () => {
    const folder = join(await temporaryFolder(), 'a', 'b');
    await new FileStore(folder).check();
    expect(await readdir(folder)).toEqual([]);
  });

  test('a store that is a file', async () => {
    const file = join(await temporaryFolder(), 'runs');
    await writeFile(file, 'mine');
    const expected = { code: 'InvalidStore', message: `store "${file}" must be a folder, found a file` };
    await expect(new FileStore(file).check()).rejects.toMatchObject(expected);
    await expect(new FileStore(join(file, 'below')).check()).rejects.toMatchObject({ code: 'InvalidStore' });
    expect(await readFile(file, 'utf8')).toBe('mine');
  });

  test('a store below a folder that nobody may create in', async () => {
    await expect(new FileStore('/proc/referee/runs').check()).rejects.toMatchObject({ code: 'InvalidStore' });
  });

  test('more space needed than there is', async () => {
    const check = new FileStore(await temporaryFolder()).check({ bytesNeeded: 1e18 });
    await expect(check).rejects.toMatchObject({
      code: 'StoreFull',
      message: expect.stringMatching(/free, about .* needed/) as string,
    });
  });

  test.runIf(canMount || process.getuid?.() !== 0)(
    'a read-only store (needs a user who is not root, or a mount)',
    async () => {
      const folder = canMount ? mountedFolder('64k') : await temporaryFolder();
      if (canMount) makeReadOnly(folder);
      else await chmod(folder, 0o555);
      const expected = {
        code: 'InvalidStore',
        message: expect.stringMatching(/cannot write, no permission/) as string,
      };
      await expect(new FileStore(folder).check()).rejects.toMatchObject(expected);
      await expect(new FileStore(folder).put(image, 'x')).rejects.toMatchObject(expected);
    },
  );

  test.runIf(canMount)('a full store (needs a mount)', async () => {
    const folder = mountedFolder('128k');
    await writeFile(join(folder, 'filler'), Buffer.alloc(100_000));
    await expect(new FileStore(folder).check()).rejects.toMatchObject({ code: 'StoreFull' });
    expect(await readdir(folder)).toEqual(['filler']);
  });
});

test.runIf(canMount)(
  'a put into a store that fills up leaves the old object and no rubbish (needs a mount)',
  async () => {
    const folder = mountedFolder('256k');
    const store = new FileStore(folder);
    await store.put(image, 'old');
    await expect(store.put(image, Buffer.alloc(1_000_000))).rejects.toMatchObject({ code: 'StoreFull' });
    expect(Buffer.from((await store.get(image))!).toString()).toBe('old');
    expect(await readdir(dirname(join(folder, image)))).toEqual(['image.png']);
  },
);
