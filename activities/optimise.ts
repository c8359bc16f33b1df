/**
 * @file Runs the searches of a run that are not finished: lanes share the device, checkpoints go to the store as they
 * fall due, finished pictures are published. Stopped at any moment, the next call goes on from the checkpoints.
 */
import type { RefereeError } from '../errors.ts';
import type { SearchEvent, StepReport } from '../inversion/events.ts';
import { noiseBank } from '../inversion/noise-bank.ts';
import { philoxNoise } from '../inversion/noise.ts';
import type { LaneRequest } from '../inversion/search.ts';
import { LaneScheduler, LATER } from '../inversion/search.ts';
import type { LaneState } from '../inversion/state.ts';
import { totalSteps } from '../inversion/state.ts';
import type { Provenance } from '../store/provenance.ts';
import type { Engine } from './engine.ts';
import type { Effort, ItemPlace } from './item-store.ts';
import { isPreviewStep, resumeItem, saveItem, savePreview, traceRow } from './item-store.ts';
import { provenanceOf, publishFailure, publishPicture } from './publish.ts';
import type { RunEvent } from './run-contract.ts';
import type { ItemSpec } from './specs.ts';

export interface OptimiseSettings {
  readonly lanes: number;
  readonly checkpointEvery: number;
  /** `stored`: kept as files too; `told`: only told. */
  readonly previews: 'stored' | 'told' | 'none';
  readonly signal: AbortSignal;
}

/** Where the items to search come from. */
export interface ItemSource {
  /** Undefined: there are no more. `LATER` only without `wait`: the next one is not there yet. */
  pull(how: { readonly wait: boolean }): Promise<ItemSpec | typeof LATER | undefined>;
}

/** Items that are all known. */
export function listed(items: Iterable<ItemSpec>): ItemSource {
  const iterator = items[Symbol.iterator]();
  return { pull: () => Promise.resolve(iterator.next().value as ItemSpec | undefined) };
}

/** A picture on its way. */
export interface Preview {
  /** [3, height, width] in 0..1 */
  readonly pixels01: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly provenance: Provenance;
}

type PathEvent = Extract<RunEvent, { type: 'preview' | 'checkpoint' }>;

/** What is told: events as everybody hears them, except that previews come with their picture. */
export type OptimiseEvent =
  | Exclude<RunEvent, { type: 'preview' | 'checkpoint' }>
  | (PathEvent & { readonly type: 'checkpoint' })
  | (Omit<PathEvent, 'type' | 'path'> & {
      readonly type: 'preview';
      /** Of the file, where previews are stored. */
      readonly path?: string;
      readonly picture: Preview;
    });

/** An item on a lane. */
interface Work {
  readonly spec: ItemSpec;
  readonly trace: Record<string, unknown>[];
  readonly before: Effort;
  readonly startedAt: number;
  /** After the newest step that this process made or found. */
  state?: LaneState;
  /** Steps that the newest checkpoint holds. */
  saved: number;
}

/** What became of the items that got a result. */
export interface Outcome {
  readonly succeeded: number;
  readonly failed: number;
}

/**
 * Searches until the source has no more items or the signal fires. The next step begins when the last event of the one
 * before is taken; who stops taking events (`return`) gets checkpoints of everything that runs.
 */
export async function* optimise(
  engine: Engine,
  place: ItemPlace,
  source: ItemSource,
  settings: OptimiseSettings,
): AsyncGenerator<OptimiseEvent, Outcome, undefined> {
  const optimiser = new Optimiser(engine, place, settings);
  return yield* optimiser.run(source);
}

class Optimiser {
  readonly #engine: Engine;
  readonly #place: ItemPlace;
  readonly #settings: OptimiseSettings;
  readonly #works = new Map<string, Work>();
  #succeeded = 0;
  #failed = 0;

  constructor(engine: Engine, place: ItemPlace, settings: OptimiseSettings) {
    this.#engine = engine;
    this.#place = place;
    this.#settings = settings;
  }

  async *run(source: ItemSource): AsyncGenerator<OptimiseEvent, Outcome, undefined> {
    const { lanes, checkpointEvery, signal } = this.#settings;
    const scheduler = new LaneScheduler(this.#engine.models, { lanes, checkpointEvery, signal });
    const notes: OptimiseEvent[] = [];
    let isLeft = true; // by whoever takes the events
    try {
      for await (const event of scheduler.run(this.#requests(source, notes))) {
        yield* notes.splice(0);
        const work = this.#works.get(event.id);
        if (work) yield* this.#follow(event, work);
      }
      isLeft = false;
    } catch (error) {
      isLeft = false;
      // What broke the searches may also keep them from being saved; it is the first error that is told.
      await this.#saveAll().catch(() => undefined);
      throw error;
    } finally {
      if (isLeft) await this.#saveAll();
    }
    return { succeeded: this.#succeeded, failed: this.#failed };
  }

  /** Items as lanes ask for them; what the store knows of an item is read when its turn comes. */
  async *#requests(source: ItemSource, notes: OptimiseEvent[]): AsyncGenerator<LaneRequest | typeof LATER> {
    const bank = noiseBank(3 * this.#engine.models.cutoutSize ** 2);
    for (;;) {
      const spec = await source.pull({ wait: this.#works.size === 0 });
      if (spec === undefined) return;
      if (spec === LATER) {
        yield LATER;
        continue;
      }
      const { state, trace, effort, skipped } = await resumeItem(this.#place, spec);
      for (const { path, reason } of skipped) {
        notes.push({ type: 'note', run: this.#place.run, item: spec.item, message: `passed over ${path}: ${reason}` });
      }
      const work = { spec, trace, before: effort, startedAt: performance.now(), saved: state?.step ?? 0 };
      this.#works.set(spec.item, { ...work, ...(state && { state }) });
      const prompt = await this.#engine.preparePrompt(spec.tokens);
      const noise = philoxNoise(spec.seed, bank);
      yield { id: spec.item, prompt, options: spec.options, noise, ...(state && { state }) };
    }
  }

  async *#follow(event: SearchEvent, work: Work): AsyncGenerator<OptimiseEvent, void, undefined> {
    const { spec, trace } = work;
    const { previews } = this.#settings;
    const steps = totalSteps(spec.options);
    switch (event.kind) {
      case 'started':
        yield { ...this.#of(spec), type: 'start', step: event.step, steps };
        break;
      case 'step':
        trace.push(traceRow(event.report));
        work.state = event.state;
        yield { ...this.#of(spec), type: 'step', step: event.step, steps, losses: lossesOf(event.report) };
        if (previews !== 'none' && isPreviewStep(event.step) && event.step < steps)
          yield await this.#preview(spec, event.state);
        break;
      case 'checkpoint':
        yield await this.#save(work, event.state);
        break;
      case 'done':
        yield await this.#save(work, event.state);
        yield await this.#finish(work, event.latent);
        break;
      case 'failed':
        yield await this.#fail(work, event.error, event.step);
        break;
    }
  }

  async #save(work: Work, state: LaneState): Promise<OptimiseEvent> {
    const path = await saveItem(this.#place, work.spec, { state, trace: work.trace, effort: this.#effort(work) });
    work.saved = state.step;
    return { ...this.#of(work.spec), type: 'checkpoint', step: state.step, path };
  }

  async #saveAll(): Promise<void> {
    for (const work of this.#works.values()) {
      if (work.state && work.state.step > work.saved) await this.#save(work, work.state);
    }
  }

  async #preview(spec: ItemSpec, { latent, step }: LaneState): Promise<OptimiseEvent> {
    const [height, width] = this.#engine.imageSize;
    const pixels01 = await this.#engine.models.decode(latent, 1);
    const picture = { pixels01, height, width, provenance: provenanceOf(this.#engine, spec) };
    const isStored = this.#settings.previews === 'stored';
    const path = isStored && (await savePreview(this.#place, { item: spec.item, step }, picture));
    return { ...this.#of(spec), type: 'preview', step, picture, ...(path !== false && { path }) };
  }

  async #finish(work: Work, latent: Float32Array): Promise<OptimiseEvent> {
    const { spec } = work;
    const { path, scores } = await publishPicture(this.#engine, this.#place, { spec, latent, ...this.#effort(work) });
    this.#works.delete(spec.item);
    this.#succeeded += 1;
    return { ...this.#of(spec), type: 'done', path, scores };
  }

  async #fail(work: Work, error: RefereeError, step: number): Promise<OptimiseEvent> {
    const { spec } = work;
    await publishFailure(this.#engine, this.#place, { spec, error, step, ...this.#effort(work) });
    this.#works.delete(spec.item);
    this.#failed += 1;
    const { code, message, hint } = error;
    return { ...this.#of(spec), type: 'failed', error: { code, message, ...(hint !== undefined && { hint }) } };
  }

  #effort({ before, startedAt }: Work): Effort {
    return { attempts: before.attempts + 1, seconds: before.seconds + (performance.now() - startedAt) / 1000 };
  }

  #of({ item, index, prompt, seed }: ItemSpec): {
    run: string;
    item: string;
    index: number;
    prompt: string;
    seed: number;
  } {
    return { run: this.#place.run, item, index, prompt, seed };
  }
}

function lossesOf(report: StepReport): Record<string, number> {
  if (report.kind === 'sample') return report.score === undefined ? {} : { match: report.score };
  const { losses } = report;
  return losses ? { itm: losses.itm, itg: losses.itg, ...(losses.itc !== undefined && { itc: losses.itc }) } : {};
}
