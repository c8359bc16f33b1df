/**
 * @file The loop over lanes: continuous batching, as language-model servers do with tokens. Up to L searches share every
 * call of the models, whatever step each is on; they enter and leave at the borders between steps.
 */
import type { SearchEvent } from './events.ts';
import type { StepLane } from './lane.ts';
import type { SearchModels } from './models.ts';
import { initialState, type LaneState, readoutLatent, totalSteps } from './state.ts';
import { step, type StepOutcome } from './step.ts';

/** One search to run; its `noise` is `philoxNoise(seed, bank)`. */
export interface LaneRequest extends Omit<StepLane, 'state'> {
  /** Names the lane in events; unique among those that run at the same time. */
  readonly id: string;
  /** Where to go on from; the beginning if left out. */
  readonly state?: LaneState;
  /** Of this lane, instead of the scheduler's. */
  readonly checkpointEvery?: number;
  /** Asked at every border between steps: whether this lane is to leave, with a `left` event, while others go on. */
  readonly isLeaving?: () => boolean;
}

/**
 * Said by a source of requests that has none at the moment: running searches go on, and it is asked again at the next
 * border. While nothing runs it must wait for a request instead.
 */
export const LATER = 'later';

type Requests = Iterable<LaneRequest> | AsyncIterable<LaneRequest | typeof LATER>;

export interface SchedulerSettings {
  /** L, the most searches that run at the same time. */
  readonly lanes: number;
  /** A `checkpoint` event after every this many steps of a lane. */
  readonly checkpointEvery: number;
  /**
   * Looked at at every border between steps and while waiting for a request. When it fires, every running lane gets a
   * `checkpoint` event with reason `drain`, and the events end.
   */
  readonly signal?: AbortSignal;
}

interface Lane extends LaneRequest {
  readonly state: LaneState;
}

export class LaneScheduler {
  readonly #models: SearchModels;
  readonly #settings: SchedulerSettings;
  #lanes: Lane[] = [];

  constructor(models: SearchModels, settings: SchedulerSettings) {
    this.#models = models;
    this.#settings = settings;
  }

  /**
   * Runs all requests and tells what happens. A request is asked for whenever a lane is free. The next step begins when
   * the last event of the one before is taken: whoever stores a checkpoint before asking for the next event can rely on
   * it. A lane that fails leaves with a `failed` event; an error of the models or of `requests` ends everything.
   */
  async *run(requests: Requests): AsyncGenerator<SearchEvent, void, undefined> {
    const intake = new Intake(requests, this.#settings.signal);
    this.#lanes = [];
    try {
      for (;;) {
        yield* this.#release();
        yield* this.#admit(intake);
        if (this.#settings.signal?.aborted) return yield* this.#drain();
        if (this.#lanes.length > 0) yield* this.#advance();
        else if (intake.isOver) return;
      }
    } finally {
      intake.close();
    }
  }

  /** Lets those go that were asked to. */
  *#release(): Generator<SearchEvent, void, undefined> {
    const leaving = this.#lanes.filter((lane) => lane.isLeaving?.() === true);
    if (leaving.length === 0) return;
    this.#lanes = this.#lanes.filter((lane) => !leaving.includes(lane));
    for (const { id, state } of leaving) yield { kind: 'left', id, step: state.step, state };
  }

  /** Fills the free lanes. */
  async *#admit(intake: Intake): AsyncGenerator<SearchEvent, void, undefined> {
    while (this.#lanes.length < this.#settings.lanes) {
      const request = await intake.next();
      if (request === undefined || request === LATER) return;
      const lane = { ...request, state: request.state ?? this.#begin(request) };
      yield { kind: 'started', id: lane.id, step: lane.state.step };
      if (lane.state.step >= totalSteps(lane.options)) yield done(lane);
      else this.#lanes.push(lane);
    }
  }

  #begin({ options, noise }: LaneRequest): LaneState {
    const { latentShape, initialLossScale } = this.#models;
    const [channels, height, width] = latentShape;
    return initialState(options, noise, {
      count: channels * height * width,
      ...(initialLossScale !== undefined && { lossScale: initialLossScale }),
    });
  }

  /** One step of all lanes. */
  async *#advance(): AsyncGenerator<SearchEvent, void, undefined> {
    const before = this.#lanes;
    const outcomes = await step(before, this.#models);
    this.#lanes = before.flatMap((lane, i) => this.#staying(lane, outcomes[i]!));
    for (const [i, lane] of before.entries()) yield* this.#tell(lane, outcomes[i]!);
  }

  /** The lane with its new state if it goes on. */
  #staying(lane: Lane, outcome: StepOutcome): Lane[] {
    return outcome.ok && outcome.state.step < totalSteps(lane.options) ? [{ ...lane, state: outcome.state }] : [];
  }

  *#tell(lane: Lane, outcome: StepOutcome): Generator<SearchEvent, void, undefined> {
    const { id } = lane;
    if (!outcome.ok) {
      yield { kind: 'failed', id, step: lane.state.step, error: outcome.error, state: lane.state };
      return;
    }
    const { state, report } = outcome;
    yield { kind: 'step', id, step: state.step, report, state };
    if (state.step >= totalSteps(lane.options)) yield done({ ...lane, state });
    else if (state.step % (lane.checkpointEvery ?? this.#settings.checkpointEvery) === 0) {
      yield { kind: 'checkpoint', id, step: state.step, reason: 'interval', state };
    }
  }

  /** The last word of every running lane. */
  *#drain(): Generator<SearchEvent, void, undefined> {
    for (const { id, state } of this.#lanes) yield { kind: 'checkpoint', id, step: state.step, reason: 'drain', state };
  }
}

function done({ id, state, options }: Lane): SearchEvent {
  return { kind: 'done', id, step: state.step, state, latent: readoutLatent(state, options) };
}

/** Takes requests one by one, and stops waiting for one when the signal fires. */
class Intake {
  readonly #iterator: Iterator<LaneRequest> | AsyncIterator<LaneRequest | typeof LATER>;
  readonly #signal: AbortSignal | undefined;
  readonly #aborted: Promise<undefined>;
  readonly #abort: () => void;
  #isOver = false;

  constructor(requests: Requests, signal: AbortSignal | undefined) {
    this.#iterator = Symbol.asyncIterator in requests ? requests[Symbol.asyncIterator]() : requests[Symbol.iterator]();
    this.#signal = signal;
    let abort: (value: undefined) => void = () => undefined;
    this.#aborted = new Promise((resolve) => (abort = resolve));
    this.#abort = () => abort(undefined);
    signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** Whether there will be no more requests. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The next request; undefined when there are no more, for good or because the signal fired. */
  async next(): Promise<LaneRequest | typeof LATER | undefined> {
    if (this.#isOver || this.#signal?.aborted) return undefined;
    const taken = await Promise.race([this.#iterator.next(), this.#aborted]);
    if (taken !== undefined && taken.done !== true) return taken.value;
    this.#isOver = taken !== undefined;
    return undefined;
  }

  /** Lets the source clean up. Not awaited: a source that is still waiting would keep the search from ending. */
  close(): void {
    this.#signal?.removeEventListener('abort', this.#abort);
    if (this.#isOver) return;
    this.#isOver = true;
    void Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
  }
}
