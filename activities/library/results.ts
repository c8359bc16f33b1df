/**
 * @file The results of a run as an async iterator. Searches run ahead of whoever takes results by as many as wait in the
 * queue; leaving the loop, or the signal, brings every search to a checkpoint and closes the devices.
 */
import { quoted, RefereeError } from '../../errors.ts';
import { ResultQueue } from './result-queue.ts';
import type { PlacedResult, RunResult } from './run-source.ts';
import { interrupted } from './settings.ts';

export type ResultOrder = 'completion' | 'input';

const ORDERS: readonly string[] = ['completion', 'input'] satisfies ResultOrder[];

/** @throws RefereeError InvalidOption */
export function checkOrder(order: unknown): void {
  if (typeof order === 'string' && ORDERS.includes(order)) return;
  throw new RefereeError('InvalidOption', `order: expected completion or input, found ${quoted(order)}`);
}

export interface ResultsSettings {
  readonly order: ResultOrder;
  /** Results that wait to be taken before the searches do. */
  readonly ahead: number;
  /** Of the caller; aborted ones throw. */
  readonly signal: AbortSignal | undefined;
  /** Searches, telling the source; everything is closed when it ends. */
  readonly search: (hooks: SearchHooks) => Promise<Searched>;
  /** What the error says when the signal fired before the last result. */
  readonly onInterrupt?: string;
}

export interface Searched {
  /** Whether every result was told. */
  readonly isWhole: boolean;
}

export interface SearchHooks {
  readonly onResult: (result: PlacedResult) => Promise<void>;
  readonly signal: AbortSignal;
}

export class Results implements AsyncIterableIterator<RunResult, undefined> {
  readonly #settings: ResultsSettings;
  readonly #queue: ResultQueue<RunResult>;
  readonly #stop = new AbortController();
  /** By place, where results wait for earlier ones. */
  readonly #early = new Map<number, RunResult>();
  #nextPlace = 0;
  #isLeft = false;
  #isOver = false;
  #work: Promise<void> | undefined;
  /** Why leaving did not end well. */
  #failure: { readonly reason: unknown } | undefined;

  constructor(settings: ResultsSettings) {
    this.#settings = settings;
    this.#queue = new ResultQueue(settings.ahead);
  }

  /** Whether work is going on for it. */
  get isOpen(): boolean {
    return this.#work !== undefined && !this.#isOver;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next result. The first call begins the work. */
  next(): Promise<IteratorResult<RunResult, undefined>> {
    if (!this.#isLeft) this.#work ??= this.#run();
    return this.#queue.next();
  }

  /** What `break` calls: resolves when checkpoints are written and devices closed, also while a `next` is pending. */
  async return(): Promise<IteratorResult<RunResult, undefined>> {
    this.#isLeft = true;
    this.#stop.abort();
    this.#queue.close();
    await this.#work;
    if (this.#failure) throw this.#failure.reason;
    return { done: true, value: undefined };
  }

  async #run(): Promise<void> {
    const { signal, search, onInterrupt = 'interrupted; what was searched is saved to go on' } = this.#settings;
    const onAbort = (): void => {
      this.#stop.abort(signal?.reason);
      this.#queue.lift();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted === true) onAbort();
      const source = await search({ onResult: (result) => this.#tell(result), signal: this.#stop.signal });
      if (source.isWhole) this.#queue.end();
      else this.#queue.end({ reason: interrupted(signal, onInterrupt) });
    } catch (reason) {
      if (this.#isLeft) this.#failure = { reason };
      this.#queue.end({ reason });
    } finally {
      this.#isOver = true;
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #tell({ place, result }: PlacedResult): Promise<void> {
    if (this.#settings.order === 'completion') return this.#queue.push(result);
    this.#early.set(place, result);
    for (;;) {
      const due = this.#early.get(this.#nextPlace);
      if (!due) return;
      this.#early.delete(this.#nextPlace);
      this.#nextPlace += 1;
      await this.#queue.push(due);
    }
  }
}
