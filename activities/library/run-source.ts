/**
 * @file Between the input of a run and its searches: what is there already, or cannot be searched, becomes a result at
 * once; the rest is handed out, each item once, and becomes a result when its search ends.
 */
import type { RefereeError } from '../../errors.ts';
import { LATER } from '../../inversion/search.ts';
import { itemState, writeSpec } from '../../store/run.ts';
import type { ItemSource, OptimiseEvent } from '../optimise.ts';
import { toError } from '../run-events.ts';
import { specFile } from '../run-files.ts';
import type { ItemSpec } from '../specs.ts';
import type { Asked, AskedSource } from './asked.ts';
import { finishedItem } from './readers.ts';
import type { Finished } from './readers.ts';
import type { RowsPlace, RunRows } from './run-rows.ts';

interface Named {
  /** Place of its prompt in the input, from 0. */
  readonly index: number;
  /** The caller's own name of it. */
  readonly id?: string;
}

/** What became of one picture that was asked for. */
export type RunResult =
  | (Named &
      Finished & {
        readonly ok: true;
        readonly prompt: string;
        readonly seed: number;
        /** By referee and judge. */
        readonly scores: Readonly<Record<string, number>>;
        /** Whether it was there before. */
        readonly isReused: boolean;
      })
  | (Named & {
      readonly ok: false;
      /** As far as they could be read. */
      readonly prompt?: string;
      readonly seed?: number;
      readonly error: RefereeError;
    });

/** A result and its place among all. */
export interface PlacedResult {
  readonly place: number;
  readonly result: RunResult;
}

export interface RunSourceSettings {
  readonly input: AskedSource;
  readonly rows: RunRows;
  readonly of: RowsPlace;
  readonly onResult: (result: PlacedResult) => Promise<void>;
  readonly signal: AbortSignal;
}

type Searched = Extract<Asked, { readonly spec: ItemSpec }>;

export class RunSource implements ItemSource {
  readonly #settings: RunSourceSettings;
  /** Items that are searched, each with everything that asked for it. */
  readonly #running = new Map<string, Searched[]>();
  /** Whether the input has no more. */
  #isExhausted = false;

  constructor(settings: RunSourceSettings) {
    this.#settings = settings;
  }

  /** Whether every result was told. */
  get isWhole(): boolean {
    return this.#isExhausted && this.#running.size === 0;
  }

  async pull(how: { readonly wait: boolean }): Promise<ItemSpec | typeof LATER | undefined> {
    const { input, signal } = this.#settings;
    while (!signal.aborted) {
      const asked = await input.next(how);
      if (asked === LATER) return LATER;
      if (asked === undefined) {
        this.#isExhausted = !signal.aborted;
        return undefined;
      }
      const spec = await this.#unfinished(asked);
      if (spec) return spec;
    }
    return undefined;
  }

  /** To be told of every event of the searches. */
  async follow(event: OptimiseEvent): Promise<void> {
    if (event.type === 'done') {
      for (const asked of this.#askersOf(event.item)) await this.#tellFinished(asked, false);
    } else if (event.type === 'failed') {
      for (const asked of this.#askersOf(event.item)) await this.#tellFailed(asked, toError(event.error));
    }
  }

  /** Everything that asked for an item whose search has ended. */
  #askersOf(item: string): readonly Searched[] {
    const all = this.#running.get(item) ?? [];
    this.#running.delete(item);
    return all;
  }

  /** The item to search, if there is anything to search. */
  async #unfinished(asked: Asked): Promise<ItemSpec | undefined> {
    if ('error' in asked) {
      await this.#tellFailed(asked, asked.error);
      return undefined;
    }
    const { of, rows } = this.#settings;
    const { store, run, pack } = of;
    const twins = this.#running.get(asked.spec.item);
    if (twins) {
      twins.push(asked);
      return undefined;
    }
    const spec = await rows.place(asked.spec);
    if ((await itemState(store, run, spec.item)) === 'succeeded') {
      await this.#tellFinished(asked, true);
      return undefined;
    }
    await writeSpec(store, run, spec.item, specFile(spec, pack));
    this.#running.set(spec.item, [asked]);
    return spec;
  }

  async #tellFinished({ place, index, id, spec }: Searched, isReused: boolean): Promise<void> {
    const { of, onResult } = this.#settings;
    const { store, run, pack } = of;
    const finished = await finishedItem({ store, run, packDigest: pack.digest }, spec);
    const { prompt, seed } = spec;
    const { scores } = finished.result;
    const named = { index, ...(id !== undefined && { id }) };
    await onResult({ place, result: { ok: true, ...named, prompt, seed, scores, ...finished, isReused } });
  }

  async #tellFailed({ place, index, id, prompt, seed }: Asked, error: RefereeError): Promise<void> {
    const known = { ...(prompt !== undefined && { prompt }), ...(seed !== undefined && { seed }) };
    const result = { ok: false as const, index, ...(id !== undefined && { id }), ...known, error };
    await this.#settings.onResult({ place, result });
  }
}
