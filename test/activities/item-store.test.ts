import { expect, test } from 'vitest';

import { resumeItem, saveItem } from '../../activities/item-store.ts';
import type { ItemPlace } from '../../activities/item-store.ts';
import { PromptTokenizer } from '../../activities/prompts.ts';
import { resolveRun } from '../../activities/specs.ts';
import type { ItemSpec } from '../../activities/specs.ts';
import { openPack } from '../../models/packs/resolve.ts';
import { itemKey } from '../../store/layout.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { readTrace, writeTrace } from '../../store/run.ts';

const rows = (steps: number): Record<string, unknown>[] =>
  Array.from({ length: steps }, (_, step) => ({ step, lr: 0.5 }));

async function item(): Promise<{ place: ItemPlace; spec: ItemSpec; save: (step: number) => Promise<string> }> {
  const pack = await openPack('shapes');
  const request = { prompt: 'a red circle', seed: 0, index: 0, overrides: { steps: 64 }, tags: [], metadata: {} };
  const { run, items } = resolveRun([request], pack, await PromptTokenizer.open(pack));
  const spec = items[0]!;
  const latentShape = [4, 2, 2] as const;
  const place = { store: new MemoryStore(), run, packDigest: pack.digest, deviceClass: 'cpu', latentShape };
  const save = (step: number): Promise<string> => {
    const latent = new Float32Array(16).fill(step);
    const state = { kind: 'search', step, latent, ema: latent, lossScale: 1 } as const;
    return saveItem(place, spec, { state, trace: rows(step), effort: { attempts: 2, seconds: 3 } });
  };
  return { place, spec, save };
}

test('a search goes on from its newest checkpoint, with the rows of the steps before it', async () => {
  const { place, spec, save } = await item();
  await save(4);
  await save(8);
  const { state, trace, effort, skipped } = await resumeItem(place, spec);
  expect(state).toMatchObject({ step: 8 });
  expect(trace).toEqual(rows(8));
  expect(effort).toEqual({ attempts: 2, seconds: 3 });
  expect(skipped).toEqual([]);
});

test.each([
  [
    'shortened by a late write',
    (place: ItemPlace, spec: ItemSpec) => writeTrace(place.store, { run: place.run, item: spec.item }, rows(4)),
  ],
  ['gone', (place: ItemPlace, spec: ItemSpec) => place.store.delete(itemKey(place.run, spec.item, 'trace.jsonl'))],
])('a trace that is %s costs neither steps nor rows', async (_, spoil) => {
  const { place, spec, save } = await item();
  await save(8);
  await spoil(place, spec);
  const { state, trace } = await resumeItem(place, spec);
  expect(state).toMatchObject({ step: 8 });
  expect(trace).toEqual(rows(8));
  await save(12);
  expect(await readTrace(place.store, place.run, spec.item)).toEqual(rows(12));
});
