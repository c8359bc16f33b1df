/**
 * @file A run that workers search, as a value: the same as a run of this process, and what only a batch has besides.
 */
import type { Run } from '../activities/library/open-run.ts';
import { checkOrder, Results } from '../activities/library/results.ts';
import type { ResultOrder, SearchHooks, Searched } from '../activities/library/results.ts';
import type { PlacedResult } from '../activities/library/run-source.ts';
import type { RunEvent } from '../activities/run-contract.ts';
import { RefereeError } from '../errors.ts';
import { runKey } from '../store/layout.ts';
import type { ItemId, RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Remote } from './connection.ts';
import type { Asker } from './follow-results.ts';
import type { RunStatus, StatusPlaces } from './status.ts';

/** A run on a server. Closing it, leaving its loop and the signal end the looking on; the run itself goes on. */
export interface RemoteRun extends Run {
  /** State, counts by state, workers. */
  status(): Promise<RunStatus>;
  /** Searches that run end with their chunk, or with `now` at their next step; they are saved. */
  pause(how?: { readonly now?: boolean }): Promise<void>;
  /** A paused run goes on; a cancelled one too, from its checkpoints. */
  resume(): Promise<void>;
  /** Ends the run. Its searches are saved; with `now` the steps since their last checkpoints are lost. */
  cancel(how?: { readonly now?: boolean }): Promise<void>;
}

/** What is to be told: items with those who asked for them, and what could not be searched. */
export interface Wanted {
  readonly items: ReadonlyMap<ItemId, readonly Asker[]>;
  readonly rejected: readonly PlacedResult[];
  /** Whether the run was begun by this call. */
  readonly isNew: boolean;
}

export interface RemoteRunParts {
  readonly run: RunId;
  readonly store: ObjectStore;
  readonly wanted: Wanted;
  readonly open: () => Promise<Remote>;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: ((event: RunEvent) => void) | undefined;
}

/** Results that wait to be taken before more are read. */
const AHEAD = 64;

export class BatchRun implements RemoteRun {
  readonly id: string;
  readonly folder: string;
  readonly #parts: RemoteRunParts;
  #results: Results | undefined;
  /** Whether results were taken before. */
  #isLooked = false;

  constructor(parts: RemoteRunParts) {
    this.#parts = parts;
    this.id = parts.run;
    this.folder = parts.store.locate(runKey(parts.run)).replace(/[/\\][^/\\]*$/, '');
  }

  results({ order = 'completion' }: { readonly order?: ResultOrder } = {}): Results {
    checkOrder(order);
    if (this.#results?.isOpen === true) {
      throw new RefereeError('InvalidInput', `run ${this.id}: its results are being taken already`);
    }
    const { signal } = this.#parts;
    const onInterrupt = `interrupted; run ${this.id} goes on`;
    const search = (hooks: SearchHooks): Promise<Searched> => this.#follow(hooks);
    this.#results = new Results({ order, ahead: AHEAD, signal, search, onInterrupt });
    return this.#results;
  }

  async status(): Promise<RunStatus> {
    const { runStatus } = await import('./status.ts');
    return this.#with((places) => runStatus(places, this.id));
  }

  async pause({ now = false }: { readonly now?: boolean } = {}): Promise<void> {
    const { controlBatch } = await import('./batches.ts');
    await this.#with(({ remote }) => controlBatch(remote, this.id, { paused: true, now }));
  }

  async resume(): Promise<void> {
    const { resumeRun } = await import('./submit.ts');
    await this.#with((places) => resumeRun(places, this.id));
  }

  async cancel({ now = false }: { readonly now?: boolean } = {}): Promise<void> {
    const { cancelBatch } = await import('./batches.ts');
    await this.#with(({ remote }) => cancelBatch(remote, this.id, { now }));
  }

  async close(): Promise<void> {
    await this.#results?.return();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A connection of its own for each call, so that no open one keeps a process from ending. */
  async #with<T>(work: (places: StatusPlaces) => Promise<T>): Promise<T> {
    const { open, store } = this.#parts;
    await using remote = await open();
    return await work({ remote, store });
  }

  async #follow(hooks: SearchHooks): Promise<Searched> {
    const { run, wanted, onEvent } = this.#parts;
    for (const rejected of wanted.rejected) await hooks.onResult(rejected);
    if (wanted.items.size === 0) return { isWhole: !hooks.signal.aborted };
    const isNew = wanted.isNew && !this.#isLooked;
    this.#isLooked = true;
    const { followResults } = await import('./follow-results.ts');
    const onNote = (message: string): void => onEvent?.({ type: 'note', run, message });
    const pending = new Map([...wanted.items].map(([item, askers]) => [item, [...askers]]));
    return { isWhole: await this.#with((places) => followResults({ places, run, pending, isNew, onNote, ...hooks })) };
  }
}
