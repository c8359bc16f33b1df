/**
 * @file Activities that need a device: a chunk of a search, on one of the lanes that all chunks of the process share.
 */
import { ApplicationFailure, Context } from '@temporalio/activity';

import { ERROR_CODES, isRefereeError, RefereeError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { asItemId, asRunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { checkpointSteps } from '../store/run.ts';
import { classifyAbort } from './abort.ts';
import { AttemptLog, codeOf, workerIdentity } from './attempt-log.ts';
import { beating } from './beating.ts';
import { Beats } from './beats.ts';
import type { DeviceActivities, OptimiseChunkInput, OptimiseChunkResult, RecordFailureInput } from './contracts.ts';
import type { Engine } from './engine.ts';
import { isOfItem } from './item-specs.ts';
import type { ItemAddress, ItemSpecs } from './item-specs.ts';
import type { ItemPlace } from './item-store.ts';
import type { AttemptEnd, Lanes } from './lanes.ts';
import type { OptimiseEvent, Standing } from './optimiser.ts';
import { publishFailure } from './publish.ts';
import type { ItemSpec } from './specs.ts';

export interface DeviceDependencies {
  readonly store: ObjectStore;
  readonly engine: Engine;
  /** Provider and processor: within one class results have the same bytes. */
  readonly deviceClass: string;
  readonly specs: ItemSpecs;
  readonly lanes: Lanes;
  /** Told everything that happens on the lanes, with the attempt's number. */
  readonly onEvent?: (event: OptimiseEvent, attempt: number) => void;
}

export function createDeviceActivities(of: DeviceDependencies): DeviceActivities {
  let attempts = 0;
  return {
    async optimiseChunk(input) {
      const at = addressOf(input);
      attempts += 1;
      return new Chunk(of, input, `${input.run}/${input.item}/${attempts}`).run(at);
    },

    recordFailure: (input) => beating(() => recordFailure(of, input)),
  };
}

const GIVEN_UP: { readonly [code in ErrorCode]?: string } = {
  NoProgress: 'many chunks in a row ended without a step',
  WorkerLost: 'the worker died or hung in every attempt',
};

/** The failure of an item that is not on a lane; what the store has of it is said as far as it can be read. */
async function publishGivenUp(of: DeviceDependencies, at: ItemAddress, error: RefereeError): Promise<number> {
  const { store, engine, specs } = of;
  const step = await checkpointSteps(store, at.run, at.item);
  const spec = await specs.describe(at);
  await publishFailure(engine, placeOf(of, at), { spec, error, step, attempts: 1, seconds: 0 });
  return step;
}

/** Errors that every worker would meet with this item, and that do not keep the failure from being written. */
function endsItem(error: unknown): error is RefereeError {
  return isOfItem(error) || (isRefereeError(error) && error.code === 'InvalidCheckpoint');
}

async function recordFailure(of: DeviceDependencies, input: RecordFailureInput): Promise<void> {
  const at = addressOf(input);
  const code = Object.hasOwn(ERROR_CODES, input.code) ? (input.code as ErrorCode) : 'Internal';
  const why = GIVEN_UP[code] ?? `every attempt ended with ${code}; the workers' logs say more`;
  const log = new AttemptLog({ ...at, store: of.store, worker: workerIdentity() });
  const step = await publishGivenUp(of, at, new RefereeError(code, `the search was given up: ${why}`));
  log.add('failed', { step, code });
  complain(of, at, await log.end());
}

/** One attempt at one chunk. */
class Chunk {
  readonly #of: DeviceDependencies;
  readonly #input: OptimiseChunkInput;
  readonly #key: string;
  readonly #context = Context.current();
  readonly #endsAt: number;

  constructor(of: DeviceDependencies, input: OptimiseChunkInput, key: string) {
    this.#of = of;
    this.#input = input;
    this.#key = key;
    this.#endsAt = performance.now() + input.seconds * 1000;
  }

  async run(at: ItemAddress): Promise<OptimiseChunkResult> {
    using beats = new Beats({
      beat: (details) => this.#context.heartbeat(details),
      timeoutMs: this.#context.info.heartbeatTimeoutMs ?? 0,
    });
    beats.beat({ step: 0 });
    const log = new AttemptLog({ ...at, store: this.#of.store, worker: workerIdentity() });
    try {
      return await this.#search(at, beats, log);
    } catch (error) {
      if (!endsItem(error) || this.#isGhost(beats)) throw error;
      const step = await publishGivenUp(this.#of, at, error);
      return { step, ended: 'failed', code: error.code };
    }
  }

  async #search(at: ItemAddress, beats: Beats, log: AttemptLog): Promise<OptimiseChunkResult> {
    const { lanes, onEvent } = this.#of;
    const { info } = this.#context;
    const spec = await this.#spec(at, log);
    const { checkpointEvery, previews } = this.#input;
    let steps = 0; // done by this attempt
    let reached = 0; // over all attempts
    const assignment = {
      key: this.#key,
      spec,
      place: placeOf(this.#of, at),
      checkpointEvery,
      previews: previews ? ('stored' as const) : ('none' as const),
      standing: () => this.#standing(beats, steps),
      log,
      reason: () => this.#reason(),
    };
    const end = await lanes.search(assignment, (event) => {
      if (event.type === 'step') {
        steps += 1;
        reached = event.step;
        beats.beat({ step: event.step });
      }
      onEvent?.(event, info.attempt);
    });
    return await this.#result(end, beats, reached);
  }

  /** What cannot be searched at all is told by the log too, unless the store has no such run. */
  async #spec(at: ItemAddress, log: AttemptLog): Promise<ItemSpec> {
    try {
      return await this.#of.specs.open(at);
    } catch (error) {
      if (codeOf(error) !== 'NotFound') {
        log.add('error', { code: codeOf(error) });
        complain(this.#of, at, await log.end());
      }
      throw error;
    }
  }

  #reason(): string {
    const { cancellationSignal, cancellationDetails } = this.#context;
    return cancellationSignal.aborted ? classifyAbort(cancellationDetails) : 'time';
  }

  #standing(beats: Beats, steps: number): Standing {
    if (this.#isGhost(beats)) return 'abandon';
    // A chunk does at least one step, so that the shortest makes progress too.
    const isTimeUp = steps > 0 && performance.now() >= this.#endsAt;
    return this.#context.cancellationSignal.aborted || isTimeUp ? 'leave' : 'stay';
  }

  #isGhost(beats: Beats): boolean {
    const { cancellationSignal, cancellationDetails } = this.#context;
    return beats.isStale || (cancellationSignal.aborted && classifyAbort(cancellationDetails) === 'ghost');
  }

  async #result(end: AttemptEnd, beats: Beats, reached: number): Promise<OptimiseChunkResult> {
    if (end.kind === 'done') return { step: reached, ended: 'done' };
    if (end.kind === 'failed') return { step: reached, ended: 'failed', code: end.code };
    const { cancellationSignal, cancellationDetails } = this.#context;
    if (!cancellationSignal.aborted) {
      if (beats.isStale) throw ghost();
      return { step: end.step, ended: 'time' };
    }
    const reason = classifyAbort(cancellationDetails);
    if (reason === 'drain' && !beats.isStale) return { step: end.step, ended: 'drain' };
    // Temporal's own failure, which says whose wish it was.
    return this.#context.cancelled;
  }
}

/** Nobody hears it but the log: the server has given the attempt up. */
function ghost(): ApplicationFailure {
  return ApplicationFailure.create({ type: 'AttemptGivenUp', message: 'stopped for longer than the heartbeat' });
}

function complain({ onEvent }: DeviceDependencies, { run, item }: ItemAddress, complaint: string | undefined): void {
  if (complaint === undefined) return;
  const message = `the log of the attempt could not be written: ${complaint}`;
  onEvent?.({ type: 'note', run, item, message }, Context.current().info.attempt);
}

function addressOf({ run, item, index }: RecordFailureInput | OptimiseChunkInput): ItemAddress {
  return { run: asRunId(run), item: asItemId(item), index };
}

function placeOf({ store, engine, deviceClass }: DeviceDependencies, { run }: ItemAddress): ItemPlace {
  const { latentShape } = engine.models;
  return { store, run, packDigest: engine.pack.digest, deviceClass, latentShape };
}
