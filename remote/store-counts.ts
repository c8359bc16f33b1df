/**
 * @file What the store knows of a run, item by item: the record that outlives the server's memory.
 */
import type { ItemId, RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Result } from '../store/result.ts';
import { itemStanding, readPrompts } from '../store/run.ts';
import type { PromptRow } from '../store/run.ts';
import type { ItemCounts } from '../workflows/messages.ts';

/** Items that are looked at at one time. */
const AT_ONCE = 32;

export interface StoredItem {
  readonly row: PromptRow;
  /** Without a result: whether there is a checkpoint. */
  readonly state: 'succeeded' | 'failed' | 'started' | 'missing';
  /** Steps that are in the store. */
  readonly step: number;
  readonly result?: Result;
}

/** Every item of a run in the order of the input. */
export async function* storedItems(store: ObjectStore, run: RunId): AsyncGenerator<StoredItem> {
  let some: PromptRow[] = [];
  for await (const row of readPrompts(store, run)) {
    some.push(row);
    if (some.length < AT_ONCE) continue;
    yield* await Promise.all(some.map((each) => storedItem(store, run, each)));
    some = [];
  }
  yield* await Promise.all(some.map((each) => storedItem(store, run, each)));
}

async function storedItem(store: ObjectStore, run: RunId, row: PromptRow): Promise<StoredItem> {
  const item = row.item as ItemId;
  const standing = await itemStanding(store, run, item);
  return { row, ...standing, step: 'result' in standing ? standing.result.steps : standing.step };
}

/**
 * How the batch of an item stands, which says what the item is without a result: `open`: it waits or is being searched;
 * `ended`: it was given up, and the store could not be told; `cancelled`, or no batch at all: nobody is at it.
 */
export type BatchPhase = 'open' | 'ended' | 'cancelled';

export function countedAs({ state }: Pick<StoredItem, 'state'>, phase: BatchPhase): keyof ItemCounts {
  if (state === 'succeeded') return 'done';
  if (state === 'failed' || phase === 'ended') return 'failed';
  if (phase === 'cancelled') return 'cancelled';
  return state === 'started' ? 'running' : 'queued';
}

export async function storedCounts(store: ObjectStore, run: RunId, phase: BatchPhase): Promise<ItemCounts> {
  const counts = { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 };
  for await (const item of storedItems(store, run)) counts[countedAs(item, phase)] += 1;
  return counts;
}
