import { describe, expect, test } from 'vitest';

import { asItemId, asRunId, checkpointKey, itemFolder, itemKey, runKey } from '../../store/layout.ts';
import type { ObjectKey } from '../../store/layout.ts';
import { MemoryStore } from '../../store/memory-store.ts';

const run = asRunId('r1');
const item = asItemId('i1');
const image = itemKey(run, item, 'image.png');

describe('a store in memory', () => {
  test('gives back what was put, as a copy', async () => {
    const store = new MemoryStore();
    const given = Uint8Array.of(1, 2, 3);
    expect(await store.put(image, given)).toBe('written');
    given[0] = 9;
    const first = (await store.get(image))!;
    first[1] = 9;
    expect(await store.get(image)).toEqual(Uint8Array.of(1, 2, 3));
    expect(await store.head(image)).toEqual({ bytes: 3 });
  });

  test('knows nothing of what was not put, or was deleted', async () => {
    const store = new MemoryStore();
    expect(await store.get(image)).toBeUndefined();
    await store.put(image, 'text');
    await store.delete(image);
    expect(await store.head(image)).toBeUndefined();
    expect(await store.list(itemFolder(run, item))).toEqual([]);
  });

  test('tells one of several first writers that it was the first', async () => {
    const store = new MemoryStore();
    const told = await Promise.all(['a', 'b', 'c'].map((text) => store.put(runKey(run), text, { once: true })));
    expect(told).toEqual(['written', 'exists', 'exists']);
    expect(new TextDecoder().decode(await store.get(runKey(run)))).toBe('a');
  });

  test('lists the keys below a prefix, sorted', async () => {
    const store = new MemoryStore();
    for (const step of [8, 2, 4]) await store.put(checkpointKey(run, item, step), '');
    await store.put(runKey(run), '');
    expect(await store.list(itemFolder(run, item))).toEqual([2, 4, 8].map((step) => checkpointKey(run, item, step)));
  });

  test('takes only keys of the layout', async () => {
    await expect(async () => new MemoryStore().put('../x' as ObjectKey, '')).rejects.toThrow('not a key of the store');
  });
});
