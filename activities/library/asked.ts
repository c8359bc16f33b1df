/**
 * @file The input of a run, item by item: a list that is known whole, or an iterable that is read when a search is free.
 */
import { setImmediate } from 'node:timers/promises';

import { isRefereeError, quoted, RefereeError } from '../../errors.ts';
import { LATER } from '../../inversion/search.ts';
import { ITEMS_MAX } from '../records.ts';
import type { ItemSpec } from '../specs.ts';
import { requestsOf, specOf } from './workplace.ts';
import type { Workplace } from './workplace.ts';

interface Place {
  /** Of the result among all results, from 0. */
  readonly place: number;
  /** Of the prompt in the input, from 0. */
  readonly index: number;
  readonly id?: string;
  readonly prompt?: string;
  readonly seed?: number;
}

/** One picture that was asked for, or why it cannot be searched. */
export type Asked = Place & ({ readonly spec: ItemSpec } | { readonly error: RefereeError });

export interface AskedSource {
  /** Undefined: there are no more. `LATER` only without `wait`: the next one is not there yet. */
  next(how: { readonly wait: boolean }): Promise<Asked | typeof LATER | undefined>;
  /** Nothing more will be asked for. */
  close(): Promise<void>;
}

/** Numbers and resolves what comes. */
export class Resolver {
  readonly #workplace: Workplace;
  readonly #overrides: Readonly<Record<string, unknown>>;
  /** Place in the input of each name. */
  readonly #names = new Map<string, number>();
  #index = 0;
  #place = 0;

  constructor(workplace: Workplace, overrides: Readonly<Record<string, unknown>>) {
    this.#workplace = workplace;
    this.#overrides = overrides;
  }

  /** One or more, in the order of the seeds. What is wrong with a prompt is a value too. */
  resolve(data: unknown): Asked[] {
    const index = this.#index++;
    const asked = this.#resolve(data, index);
    this.#place += asked.length;
    if (this.#place > ITEMS_MAX)
      throw new RefereeError('InvalidInput', `input: expected at most ${ITEMS_MAX} images in a run, found more`);
    return asked;
  }

  #resolve(data: unknown, index: number): Asked[] {
    const attempt = orError(() => requestsOf(data, this.#workplace, this.#overrides));
    if ('error' in attempt) return [{ place: this.#place, index, ...namesIn(data), ...attempt }];
    return attempt.value.map((request, at) => {
      const { id, prompt, seed } = request;
      const place = { place: this.#place + at, index, prompt, seed, ...(id !== undefined && { id }) };
      const resolved = orError(() => {
        if (id !== undefined) this.#checkName(id, index);
        return specOf(request, this.#workplace);
      });
      return 'error' in resolved ? { ...place, ...resolved } : { ...place, spec: resolved.value };
    });
  }

  #checkName(id: string, index: number): void {
    const earlier = this.#names.get(id) ?? index;
    if (earlier !== index) {
      const found = `expected a name that no other prompt has, found ${quoted(id)} of prompt ${earlier}`;
      throw new RefereeError('InvalidInput', `"id": ${found}`, { details: { field: 'id' } });
    }
    this.#names.set(id, index);
  }
}

/** For a list: everything is resolved already. */
export function listedAsked(all: readonly Asked[]): AskedSource {
  const iterator = all[Symbol.iterator]();
  return { next: () => Promise.resolve(iterator.next().value), close: () => Promise.resolve() };
}

/** For other iterables: the next prompt is read when a search is free for it, at most one ahead. */
export class StreamedAsked implements AskedSource {
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>;
  readonly #resolver: Resolver;
  readonly #signal: AbortSignal;
  readonly #waiting: Asked[] = [];
  /** The prompt that was asked for and has not been taken yet. */
  #pull: { settled?: Settled } | undefined;
  #wake: () => void = () => undefined;
  #isOver = false;

  constructor(input: Iterable<unknown> | AsyncIterable<unknown>, resolver: Resolver, signal: AbortSignal) {
    this.#iterator = Symbol.asyncIterator in input ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
    this.#resolver = resolver;
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  async next({ wait }: { readonly wait: boolean }): Promise<Asked | typeof LATER | undefined> {
    while (this.#waiting.length === 0) {
      if (this.#isOver || this.#signal.aborted) return undefined;
      this.#pull ??= this.#begin();
      if (!this.#pull.settled) await (wait ? new Promise<void>((resolve) => (this.#wake = resolve)) : setImmediate());
      const { settled } = this.#pull;
      if (!settled) return wait ? undefined : LATER;
      this.#pull = undefined;
      this.#take(settled);
    }
    return this.#waiting.shift();
  }

  /** Lets the input clean up. An input that is still waiting for something itself is told, but not waited for. */
  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort);
    if (this.#isOver) return;
    this.#isOver = true;
    const closing = Promise.resolve(this.#iterator.return?.());
    if (this.#pull && !this.#pull.settled) closing.catch(() => undefined);
    else await closing;
  }

  readonly #onAbort = (): void => this.#wake();

  #begin(): { settled?: Settled } {
    const pull: { settled?: Settled } = {};
    const settle = (settled: Settled): void => {
      pull.settled = settled;
      this.#wake();
    };
    const asking = (async () => this.#iterator.next())();
    asking.then(
      (result) => settle({ result }),
      (error: unknown) => settle({ error }),
    );
    return pull;
  }

  #take(settled: Settled): void {
    if ('error' in settled) {
      this.#isOver = true;
      throw settled.error;
    }
    if (settled.result.done === true) this.#isOver = true;
    else this.#waiting.push(...this.#resolver.resolve(settled.result.value));
  }
}

type Settled = { readonly result: IteratorResult<unknown> } | { readonly error: unknown };

function orError<T>(work: () => T): { readonly value: T } | { readonly error: RefereeError } {
  try {
    return { value: work() };
  } catch (error) {
    if (isRefereeError(error)) return { error };
    throw error;
  }
}

/** What can be said of a prompt that is not one. */
function namesIn(data: unknown): { id?: string; prompt?: string } {
  if (typeof data === 'string') return { prompt: data };
  if (typeof data !== 'object' || data === null) return {};
  const { id, prompt } = data as { id?: unknown; prompt?: unknown };
  return { ...(typeof id === 'string' && { id }), ...(typeof prompt === 'string' && { prompt }) };
}
