/**
 * @file What is known about a run while it goes on: which items are at which step, how fast, how long still. Events in,
 * numbers out; no clock and no terminal of its own.
 */
import type { PlanEvent, RunEvent } from '../activities/run-contract.ts';

export interface LaneProgress {
  readonly item: string;
  readonly prompt: string;
  readonly seed: number;
  readonly step: number;
  readonly steps: number;
  readonly losses: Readonly<Record<string, number>>;
  /** Of its newest preview. */
  readonly preview?: string;
}

/** Time after which a measured rate has lost most of its weight. */
const MEMORY_SECONDS = 10;

/** A rate from fewer steps or less time says nothing about the time left. */
const MEANINGFUL_STEPS = 5;
const MEANINGFUL_SECONDS = 3;

export class ProgressState {
  readonly #lanes = new Map<string, LaneProgress>();
  #plan: PlanEvent | undefined;
  #finished = 0;
  #failed = 0;
  #stepsDone = 0;
  #latestPreview: string | undefined;
  /** Exponentially weighted sums: their quotient is the rate. */
  #weightedSteps = 0;
  #weightedSeconds = 0;
  #firstStepAt: number | undefined;
  #lastStepAt: number | undefined;

  /** `now` in seconds, of any clock that does not run backwards. */
  apply(event: RunEvent, now: number): void {
    switch (event.type) {
      case 'plan':
        this.#plan = event;
        this.#finished = event.skipped;
        break;
      case 'start':
        this.#lanes.set(event.item, { ...event, losses: {} });
        // The first interval of the rate begins when work begins.
        this.#firstStepAt ??= now;
        this.#lastStepAt ??= now;
        break;
      case 'step':
        this.#measure(now);
        this.#stepsDone++;
        this.#lanes.set(event.item, { ...this.#lanes.get(event.item), ...event });
        break;
      case 'preview': {
        this.#latestPreview = event.path;
        const lane = this.#lanes.get(event.item);
        if (lane) this.#lanes.set(event.item, { ...lane, preview: event.path });
        break;
      }
      case 'done':
      case 'failed':
        this.#lanes.delete(event.item);
        this.#finished++;
        if (event.type === 'failed') this.#failed++;
        break;
      case 'checkpoint':
      case 'skipped':
      case 'note':
        break;
    }
  }

  get items(): number {
    return this.#plan?.items ?? 0;
  }

  /** Items with a result, failed ones and those that were there before included. */
  get finished(): number {
    return this.#finished;
  }

  get failed(): number {
    return this.#failed;
  }

  get lanes(): readonly LaneProgress[] {
    return [...this.#lanes.values()];
  }

  get latestPreview(): string | undefined {
    return this.#latestPreview;
  }

  /** 0..1 */
  get fraction(): number {
    const steps = this.#plan?.steps ?? 0;
    return steps === 0 ? 0 : Math.min(1, this.#stepsDone / steps);
  }

  /** Steps per second over all lanes, undefined until it means something. */
  get rate(): number | undefined {
    const seconds = (this.#lastStepAt ?? 0) - (this.#firstStepAt ?? 0);
    if (this.#stepsDone < MEANINGFUL_STEPS || seconds < MEANINGFUL_SECONDS) return undefined;
    return this.#weightedSteps / this.#weightedSeconds;
  }

  get secondsLeft(): number | undefined {
    const rate = this.rate;
    return rate === undefined ? undefined : Math.max(0, (this.#plan?.steps ?? 0) - this.#stepsDone) / rate;
  }

  #measure(now: number): void {
    this.#firstStepAt ??= now;
    const seconds = Math.max(0, now - (this.#lastStepAt ?? now));
    const kept = Math.exp(-seconds / MEMORY_SECONDS);
    this.#weightedSteps = this.#weightedSteps * kept + 1;
    this.#weightedSeconds = this.#weightedSeconds * kept + seconds;
    this.#lastStepAt = now;
  }
}
