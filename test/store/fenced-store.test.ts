import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';

import { expect, test } from 'vitest';

import { FencedStore } from '../../store/fenced-store.ts';
import { FileStore } from '../../store/file-store.ts';
import { asRunId, manifestKey, runKey } from '../../store/layout.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { temporaryFolder } from '../support/folder.ts';

const run = asRunId('r1');
const [key, other] = [runKey(run), manifestKey(run)];

test('behind a closed fence nothing is written or deleted, and everything can be read', async () => {
  let isOpen = true;
  const store = new MemoryStore();
  const fenced = new FencedStore(store, () => isOpen);
  expect(await fenced.put(key, 'a', { once: true })).toBe('written');
  isOpen = false;
  await expect(fenced.put(key, 'b')).rejects.toMatchObject({ code: 'Interrupted' });
  await expect(fenced.put(other, 'b')).rejects.toMatchObject({ code: 'Interrupted' });
  await expect(fenced.delete(key)).rejects.toMatchObject({ code: 'Interrupted' });
  expect(await fenced.list('r1/')).toEqual([key]);
  expect(new TextDecoder().decode(await fenced.get(key))).toBe('a');
  expect(await fenced.head(key)).toEqual({ bytes: 1 });
  isOpen = true;
  await fenced.delete(key);
  expect(await store.list('r1/')).toEqual([]);
});

test('a fence that closes while bytes are on their way into a file leaves no file', async () => {
  let asked = 0;
  const store = new FileStore(await temporaryFolder());
  const fenced = new FencedStore(store, () => ++asked < 2);
  await expect(fenced.put(key, 'a')).rejects.toMatchObject({ code: 'Interrupted' });
  expect(asked).toBe(2);
  expect(readdirSync(dirname(store.locate(key)))).toEqual([]);
});
