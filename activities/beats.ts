/**
 * @file Heartbeats of one attempt: one at every step, and on a timer while a step is long. The timer is also the attempt's
 * own watch: a process that was stopped for longer than the heartbeat's timeout has been given up by the server, and must
 * not write before it has heard so.
 */
export interface BeatsSettings {
  /** Tells the server; throttled there, so that it may be called as often as one likes. */
  readonly beat: (details: unknown) => void;
  /** After so long without a beat the server gives the attempt up, ms; 0 for never. */
  readonly timeoutMs: number;
  /** Monotonic, ms. */
  readonly now?: () => number;
}

/** Ticks per timeout: one that is late by a scheduler's whim does no harm. */
const TICKS = 5;
const LONGEST_TICK_MS = 5000;

export class Beats implements Disposable {
  readonly #settings: BeatsSettings;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  #details: unknown;
  #last: number;
  #isStale = false;

  constructor(settings: BeatsSettings) {
    this.#settings = settings;
    this.#now = settings.now ?? (() => performance.now());
    this.#last = this.#now();
    const { timeoutMs } = settings;
    const every = timeoutMs > 0 ? Math.min(LONGEST_TICK_MS, timeoutMs / TICKS) : LONGEST_TICK_MS;
    this.#timer = setInterval(() => this.beat(this.#details), every);
    this.#timer.unref();
  }

  /** Whether so much time has passed between two beats that the server has given the attempt up. */
  get isStale(): boolean {
    const { timeoutMs } = this.#settings;
    this.#isStale ||= timeoutMs > 0 && this.#now() - this.#last > timeoutMs;
    return this.#isStale;
  }

  beat(details: unknown): void {
    this.#details = details;
    // The server is told in any case: its answer is what ends the attempt.
    if (!this.isStale) this.#last = this.#now();
    this.#settings.beat(details);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
