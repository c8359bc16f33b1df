import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { SearchEvent } from '../../inversion/events.ts';
import type { SearchModels } from '../../inversion/models.ts';
import { philoxNoise } from '../../inversion/noise.ts';
import { resolveOptions } from '../../inversion/options.ts';
import { LATER, type LaneRequest, LaneScheduler } from '../../inversion/search.ts';
import { type LaneState, stateFromTensors, stateToTensors, totalSteps } from '../../inversion/state.ts';
import {
  BANK,
  COUNT,
  LATENT_SHAPE,
  quadratic,
  targetOf,
  TOY_DEFAULTS,
  toyModels,
  toyPrompt,
} from './support/toy-models.ts';

const NEVER = 1_000_000;

/** Requests of all methods, lengths and cutouts, told apart by their seed. */
function request(seed: number, overrides: object = {}): LaneRequest {
  const kinds = [
    { steps: 5 + (seed % 7) },
    { method: 'distil', steps: 4 },
    { method: 'best-of', candidates: 2, sampleSteps: 3 + (seed % 3) },
    { optimiser: 'adam', steps: 9, cutouts: 2 },
  ];
  const options = resolveOptions(TOY_DEFAULTS, { emaStart: 2, emaRestart: 2, ...kinds[seed % 4], ...overrides });
  return { id: `lane ${seed}`, prompt: toyPrompt(seed / 8, seed / 16), options, noise: philoxNoise(seed, BANK) };
}

interface RunSettings {
  readonly lanes?: number;
  readonly models?: SearchModels;
  readonly checkpointEvery?: number;
  readonly signal?: AbortSignal;
}

async function collect(
  requests: Iterable<LaneRequest> | AsyncIterable<LaneRequest | typeof LATER>,
  { lanes = 1, models = toyModels(), checkpointEvery = NEVER, signal }: RunSettings = {},
  onEvent: (event: SearchEvent) => void = () => undefined,
): Promise<SearchEvent[]> {
  const scheduler = new LaneScheduler(models, { lanes, checkpointEvery, ...(signal && { signal }) });
  const events: SearchEvent[] = [];
  for await (const event of scheduler.run(requests)) {
    events.push(event);
    onEvent(event);
  }
  return events;
}

function ofLane(events: readonly SearchEvent[], id: string): SearchEvent[] {
  return events.filter((event) => event.id === id);
}

async function alone(own: LaneRequest): Promise<SearchEvent[]> {
  return collect([own]);
}

function lastState(events: readonly SearchEvent[]): LaneState {
  const last = events.at(-1)!;
  if (last.kind === 'started') throw new Error('no step was made');
  return last.state;
}

describe('neighbours', () => {
  test.each([1, 3, 8])('with %i lanes every event of a lane is the same as alone', async (lanes) => {
    const requests = Array.from({ length: 13 }, (_, seed) => request(seed));
    const models = toyModels();
    const events = await collect(requests, { lanes, models });
    expect(Math.max(...models.calls.guidance)).toBe(lanes);
    for (const own of requests) expect(ofLane(events, own.id), own.id).toEqual(await alone(own));
  });

  test('a request that is not there yet keeps no search waiting, and joins at the border where it is', async () => {
    const [first, second] = [request(0), request(1)];
    async function* slowly(): AsyncGenerator<LaneRequest | typeof LATER> {
      yield first;
      yield LATER;
      yield LATER;
      yield await Promise.resolve(second);
      yield LATER; // while something runs, then at the end of it, where a real source would wait
    }
    const models = toyModels();
    const events = await collect(slowly(), { lanes: 2, models });
    expect(models.calls.guidance.slice(0, 3)).toEqual([1, 1, 2]);
    for (const own of [first, second]) expect(ofLane(events, own.id)).toEqual(await alone(own));
  });

  test('a lane that leaves is replaced at the next border', async () => {
    const models = toyModels();
    const requests = [2, 6, 4, 3].map((steps, i) => request(4 * i, { steps }));
    await collect(requests, { lanes: 2, models });
    // Lanes of 2, 6, 4 and 3 steps in two places: 2+4 in one, then 6 in the other, then 3 alone.
    expect(models.calls.guidance).toEqual([2, 2, 2, 2, 2, 2, 1, 1, 1]);
  });

  test('requests are taken one by one, as places become free', async () => {
    const taken: string[] = [];
    function* source() {
      for (const seed of [0, 4, 8]) {
        taken.push(`request ${seed}`);
        yield request(seed, { steps: 2 });
      }
    }
    await collect(source(), { lanes: 1 }, (event) => taken.push(`${event.kind} ${event.id}`));
    const one = (seed: number) => [
      `request ${seed}`,
      `started lane ${seed}`,
      `step lane ${seed}`,
      `step lane ${seed}`,
      `done lane ${seed}`,
    ];
    expect(taken).toEqual([...one(0), ...one(4), ...one(8)]);
  });
});

describe('resuming', () => {
  test('from any step, after a round trip through tensors, gives the bytes of an uninterrupted search', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 23 }), fc.array(fc.nat(), { maxLength: 3 }), async (seed, cuts) => {
        const own = request(seed);
        const whole = await alone(own);
        const total = totalSteps(own.options);
        let state: LaneState | undefined;
        const stops = cuts.map((cut) => cut % (total + 1)).sort((a, b) => a - b);
        for (const stop of [...stops, total]) {
          const controller = new AbortController();
          const resumed: LaneRequest = { ...own, ...(state && { state }) };
          const events = await collect([resumed], { signal: controller.signal }, (event) => {
            if (event.step >= stop) controller.abort();
          });
          const reached = events.at(-1)!;
          if (reached.kind === 'started') throw new Error('the drain said nothing');
          state = stateFromTensors(
            structuredClone(stateToTensors(reached.state, LATENT_SHAPE)),
            own.options,
            LATENT_SHAPE,
          );
        }
        expect(state).toEqual(lastState(whole));
        const final = await alone({ ...own, ...(state && { state }) });
        expect(final.at(-1)).toEqual(whole.at(-1));
      }),
      { numRuns: 60 },
    );
  });

  test('a finished search is done without a call', async () => {
    const own = request(0);
    const models = toyModels();
    const events = await collect([{ ...own, state: lastState(await alone(own)) }], { models });
    expect(events.map(({ kind }) => kind)).toEqual(['started', 'done']);
    expect(models.calls).toEqual({ alignment: [], guidance: [], score: [] });
  });
});

describe('checkpoints', () => {
  test('are due after every interval, but not at the end', async () => {
    const events = await collect([request(0, { steps: 9 })], { checkpointEvery: 3 });
    const due = events.filter(({ kind }) => kind === 'checkpoint');
    expect(due.map(({ step }) => step)).toEqual([3, 6]);
    for (const event of due) {
      const stepEvent = events.find(({ kind, step }) => kind === 'step' && step === event.step);
      expect(event).toMatchObject({ reason: 'interval', state: (stepEvent as { state: LaneState }).state });
    }
  });

  test('states that were told stay as they were', async () => {
    const told: { state: LaneState; copy: LaneState }[] = [];
    await collect([request(0), request(3)], { lanes: 2 }, (event) => {
      if (event.kind === 'step') told.push({ state: event.state, copy: structuredClone(event.state) });
    });
    expect(told.length).toBeGreaterThan(10);
    for (const { state, copy } of told) expect(state).toEqual(copy);
  });
});

describe('aborting', () => {
  test('drains: every running lane says its state once more, nothing else is taken', async () => {
    const controller = new AbortController();
    const requests = Array.from({ length: 6 }, (_, i) => request(4 * i, { steps: 20 }));
    const events = await collect(requests, { lanes: 3, signal: controller.signal }, (event) => {
      if (event.kind === 'step' && event.step === 4) controller.abort();
    });
    const drained = events.slice(-3);
    expect(drained.map(({ kind, id, step }) => ({ kind, id, step }))).toEqual(
      [0, 4, 8].map((seed) => ({ kind: 'checkpoint', id: `lane ${seed}`, step: 4 })),
    );
    for (const event of drained) expect(event).toMatchObject({ reason: 'drain' });
    expect(new Set(events.map(({ id }) => id)).size).toBe(3);
  });

  test('before the beginning tells nothing', async () => {
    expect(await collect([request(0)], { signal: AbortSignal.abort() })).toEqual([]);
  });

  test('ends the wait for a request that does not come', async () => {
    const controller = new AbortController();
    async function* source() {
      yield request(0, { steps: 2 });
      await new Promise(() => undefined);
    }
    const events = await collect(source(), { lanes: 2, signal: controller.signal }, () => {
      queueMicrotask(() => controller.abort());
    });
    expect(events.map(({ kind }) => kind)).toEqual(['started', 'checkpoint']);
  });

  test('leaving the loop lets the source clean up', async () => {
    let isClosed = false;
    function* source() {
      try {
        yield request(0);
        yield request(4);
      } finally {
        isClosed = true;
      }
    }
    const scheduler = new LaneScheduler(toyModels(), { lanes: 1, checkpointEvery: NEVER });
    for await (const event of scheduler.run(source())) if (event.kind === 'step') break;
    expect(isClosed).toBe(true);
  });
});

describe('failing', () => {
  /** The referee loses the lane of seed 4 when it is asked for the third time. */
  function failingModels(): SearchModels {
    let asked = 0;
    return toyModels({
      alignment: (input) => {
        const answer = quadratic(input);
        input.prompts.forEach((prompt, i) => {
          if (targetOf(prompt) === 4 / 8 && ++asked === 3) answer.gradient.fill(Number.NaN, i * COUNT, (i + 1) * COUNT);
        });
        return Promise.resolve(answer);
      },
    });
  }

  test('a lane leaves with its last good state, the others do not notice', async () => {
    const requests = [0, 4, 8, 3, 1].map((seed) => request(seed));
    const events = await collect(requests, { lanes: 3, models: failingModels() });
    const own = ofLane(events, 'lane 4');
    expect(own.at(-1)).toMatchObject({ kind: 'failed', step: 2, error: { code: 'NonFinite' } });
    expect(own.at(-1)!).toMatchObject({ state: lastState(own.slice(0, -1)) });
    for (const other of requests.filter(({ id }) => id !== 'lane 4')) {
      expect(ofLane(events, other.id)).toEqual(await alone(other));
    }
  });

  test('an error of the models ends the search with that error', async () => {
    const models = toyModels({ guidance: () => Promise.reject(new Error('the device is gone')) });
    await expect(collect([request(0)], { models })).rejects.toThrow('the device is gone');
  });

  test('an error of the source ends the search with that error', async () => {
    function* source() {
      yield request(0);
      throw new Error('line 2: broken');
    }
    await expect(collect(source(), { lanes: 2 })).rejects.toThrow('line 2: broken');
  });
});
