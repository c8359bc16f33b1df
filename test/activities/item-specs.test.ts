import { expect, test } from 'vitest';

import { ItemSpecs } from '../../activities/item-specs.ts';
import { prepareRun } from '../../activities/prepare-run.ts';
import { PromptTokenizer } from '../../activities/prompts.ts';
import type { RunItemRequest } from '../../activities/run-contract.ts';
import type { RunSpec } from '../../activities/specs.ts';
import { resolveRun } from '../../activities/specs.ts';
import { openPack } from '../../models/packs/resolve.ts';
import type { Pack } from '../../models/packs/resolve.ts';
import { itemKey, promptsKey } from '../../store/layout.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import type { ObjectStore } from '../../store/object-store.ts';

const REQUESTS: readonly RunItemRequest[] = [
  { index: 0, prompt: 'a red circle', seed: 0, overrides: {}, tags: [], metadata: {} },
  { index: 1, prompt: 'a red circle', seed: 1, overrides: { steps: 32 }, tags: [], metadata: {} },
  {
    index: 2,
    id: '../name',
    prompt: 'a blue square',
    seed: 2,
    // Half of the steps, with a bound that is the default's.
    overrides: { steps: 128, refereeEnd: 54, negative: 'a cross' },
    tags: ['fruit'],
    metadata: { row: { n: 17 } },
  },
];

interface Setup {
  readonly store: ObjectStore;
  readonly pack: Pack;
  readonly tokenizer: PromptTokenizer;
  readonly spec: RunSpec;
}

async function setup(specs: 'now' | 'later'): Promise<Setup> {
  const pack = await openPack('shapes');
  const tokenizer = await PromptTokenizer.open(pack);
  const spec = resolveRun(REQUESTS, pack, tokenizer);
  const store = new MemoryStore();
  await prepareRun(store, { pack, spec, pending: spec.items, specs, rejected: [] });
  return { store, pack, tokenizer, spec };
}

test('an item is opened from its line of the prompts alone, and leaves the spec that a run in one process writes', async () => {
  const [ahead, lazy] = [await setup('now'), await setup('later')];
  const { run, items } = lazy.spec;
  const specs = new ItemSpecs(lazy);
  for (const item of items) {
    const key = itemKey(run, item.item, 'spec.json');
    expect(await lazy.store.get(key)).toBeUndefined();
    expect(await specs.open({ run, ...item })).toEqual(item);
    expect(await lazy.store.get(key)).toEqual(await ahead.store.get(key));
  }
});

test('a page that has grown since it was read is read again', async () => {
  const { store, spec, ...of } = await setup('later');
  const { run, items } = spec;
  const key = promptsKey(run, 0);
  const whole = await store.get(key);
  const text = Buffer.from(whole!).toString();
  await store.put(key, text.slice(0, text.indexOf('\n') + 1));
  const specs = new ItemSpecs({ store, ...of });
  await specs.open({ run, ...items[0]! });
  await store.put(key, text);
  expect(await specs.open({ run, ...items[2]! })).toEqual(items[2]);
});

test('a line of another item is refused', async () => {
  const { spec, ...of } = await setup('later');
  const [first, second] = spec.items;
  await expect(new ItemSpecs(of).open({ run: spec.run, item: first!.item, index: 1 })).rejects.toMatchObject({
    code: 'InvalidStore',
    message: `run ${spec.run}: expected item ${first!.item} at place 1, found ${second!.item}`,
  });
});
