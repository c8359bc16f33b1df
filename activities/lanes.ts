/**
 * @file The lanes of one process: whoever wants an item searched hands it in and gets told when it is over. All share one
 * loop of steps (continuous batching); items may be of different runs and come and go by themselves.
 */
import { isRefereeError, RefereeError } from '../errors.ts';
import { LATER } from '../inversion/search.ts';
import type { Engine } from './engine.ts';
import type { Assignment, AssignmentNews, AssignmentSource, OptimiseEvent } from './optimiser.ts';
import { Optimiser } from './optimiser.ts';

/** How an attempt ended. */
export type AttemptEnd =
  /** `step`: steps that are in the store. */
  | { readonly kind: 'left'; readonly step: number }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly code: string };

interface Attempt {
  readonly assignment: Assignment;
  readonly onEvent: (event: OptimiseEvent) => void;
  readonly resolve: (end: AttemptEnd) => void;
  readonly reject: (error: unknown) => void;
}

export interface LanesSettings {
  readonly lanes: number;
  /** Told when the device is gone for good: every search of the process is over, and so is the process. */
  readonly onDeviceLost?: (error: RefereeError) => void;
}

export class Lanes {
  readonly #engine: Engine;
  readonly #settings: LanesSettings;
  readonly #waiting: Attempt[] = [];
  readonly #running = new Map<string, Attempt>();
  readonly #closing = new AbortController();
  #wake: () => void = () => undefined;
  #lost: RefereeError | undefined;
  #loop: Promise<void> | undefined;

  constructor(engine: Engine, settings: LanesSettings) {
    this.#engine = engine;
    this.#settings = settings;
  }

  /** Attempts on a lane or waiting for one. */
  get busy(): number {
    return this.#running.size + this.#waiting.length;
  }

  /** Resolves when the attempt is over, whatever became of it but for an error, which is thrown. */
  search(assignment: Assignment, onEvent: (event: OptimiseEvent) => void): Promise<AttemptEnd> {
    if (this.#lost) return Promise.reject(this.#lost);
    if (this.#closing.signal.aborted) return Promise.reject(new RefereeError('Interrupted', 'the lanes are closed'));
    const end = new Promise<AttemptEnd>((resolve, reject) => {
      this.#waiting.push({ assignment, onEvent, resolve, reject });
    });
    this.#wake();
    this.#loop ??= this.#serve();
    return end;
  }

  /** Saves what runs and ends the loop. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake();
    await this.#loop;
  }

  /** Runs for the life of the process: an error of the models ends the searches that met it, not those to come. */
  async #serve(): Promise<void> {
    const { lanes } = this.#settings;
    while (!this.#closing.signal.aborted && !this.#lost) {
      const optimiser = new Optimiser(this.#engine, { lanes, signal: this.#closing.signal });
      try {
        for await (const news of optimiser.run(this.#source())) this.#tell(news);
        this.#rejectAll(new RefereeError('Interrupted', 'the lanes were closed'));
      } catch (error) {
        if (isRefereeError(error) && error.code === 'DeviceLost') this.#lost = error;
        this.#rejectAll(error);
      }
    }
    if (this.#lost) this.#settings.onDeviceLost?.(this.#lost);
  }

  #source(): AssignmentSource {
    return {
      pull: async ({ wait }) => {
        for (;;) {
          if (this.#closing.signal.aborted) return undefined;
          const attempt = this.#waiting.shift();
          if (attempt) {
            const { assignment } = attempt;
            this.#running.set(assignment.key, attempt);
            return { ...assignment, onRefused: (error) => this.#end(assignment.key)?.reject(error) };
          }
          if (!wait) return LATER;
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
      },
    };
  }

  #tell(news: AssignmentNews): void {
    const { key } = news.of;
    if (news.kind === 'broken') this.#end(key)?.reject(news.error);
    else if (news.kind === 'left') this.#end(key)?.resolve({ kind: 'left', step: news.step });
    else {
      const { event } = news;
      this.#running.get(key)?.onEvent(event);
      if (event.type === 'done') this.#end(key)?.resolve({ kind: 'done' });
      if (event.type === 'failed') this.#end(key)?.resolve({ kind: 'failed', code: event.error.code });
    }
  }

  #end(key: string): Attempt | undefined {
    const attempt = this.#running.get(key);
    this.#running.delete(key);
    return attempt;
  }

  #rejectAll(error: unknown): void {
    const all = [
      ...this.#running.values(),
      ...(this.#lost || this.#closing.signal.aborted ? this.#waiting.splice(0) : []),
    ];
    this.#running.clear();
    for (const { reject } of all) reject(error);
  }
}
