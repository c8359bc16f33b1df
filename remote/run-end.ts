/**
 * @file Whether a run is over: by the server while it knows the run, otherwise by the results in the store.
 */
import { isRefereeError } from '../errors.ts';
import { itemKey } from '../store/layout.ts';
import type { ItemId, RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { readPrompts } from '../store/run.ts';
import { describeBatch } from './batches.ts';
import type { Remote } from './connection.ts';

export type End = 'open' | 'closed' | 'unknown';

/** `unknown`: the server does not know the run, or does not answer. */
export async function endByServer(remote: Remote, run: RunId): Promise<End> {
  try {
    const execution = await describeBatch(remote, run);
    if (!execution) return 'unknown';
    return execution.state === 'running' ? 'open' : 'closed';
  } catch (error) {
    if (isRefereeError(error) && error.code === 'ServerUnavailable') return 'unknown';
    throw error;
  }
}

/** Asks the store for results, each item's once: the first item without one is where the next question begins. */
export class ResultsEnd {
  readonly #store: ObjectStore;
  readonly #run: RunId;
  readonly #only: ItemId | undefined;
  #items: ItemId[] | undefined;

  constructor(store: ObjectStore, run: RunId, only?: ItemId) {
    this.#store = store;
    this.#run = run;
    this.#only = only;
  }

  /** Whether every item has a result. */
  async isReached(): Promise<boolean> {
    this.#items ??= await this.#all();
    for (let item = this.#items.at(-1); item !== undefined; item = this.#items.at(-1)) {
      if (!(await this.#store.head(itemKey(this.#run, item, 'result.json')))) return false;
      this.#items.pop();
    }
    return true;
  }

  async #all(): Promise<ItemId[]> {
    if (this.#only !== undefined) return [this.#only];
    const items: ItemId[] = [];
    for await (const { item } of readPrompts(this.#store, this.#run)) items.push(item as ItemId);
    return items;
  }
}
