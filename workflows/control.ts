/**
 * @file What a workflow was last told of pausing and windows. Signals are absolute and numbered: an older one is ignored,
 * one that comes twice does nothing.
 */
import type { ControlSignal } from './messages.ts';

export class ControlState {
  #last: ControlSignal;

  constructor(first: ControlSignal) {
    this.#last = first;
  }

  get last(): ControlSignal {
    return this.#last;
  }

  get seq(): number {
    return this.#last.seq;
  }

  get paused(): boolean {
    return this.#last.paused;
  }

  /** Paused without waiting for the ends of chunks. */
  get now(): boolean {
    return this.#last.paused && this.#last.now;
  }

  get window(): number {
    return this.#last.window;
  }

  /** False for a signal that is not newer. */
  take(signal: ControlSignal): boolean {
    if (signal.seq <= this.#last.seq) return false;
    this.#last = signal;
    return true;
  }
}
