/**
 * @file Runs the searches of a run that are not finished: lanes share the device, checkpoints go to the store as they
 * fall due, finished pictures are published. Stopped at any moment, the next call goes on from the checkpoints.
 */
import type { RefereeError } from '../errors.ts';
import type { SearchEvent, StepReport } from '../inversion/events.ts';
import { noiseBank } from '../inversion/noise-bank.ts';
import { philoxNoise } from '../inversion/noise.ts';
import type { LaneRequest } from '../inversion/search.ts';
import { LaneScheduler } from '../inversion/search.ts';
import type { LaneState } from '../inversion/state.ts';
import { totalSteps } from '../inversion/state.ts';
import type { Engine } from './engine.ts';
import type { Effort, ItemPlace } from './item-store.ts';
import { isPreviewStep, resumeItem, saveItem, savePreview, traceRow } from './item-store.ts';
import type { Finished } from './publish.ts';
import { provenanceOf, publishFailure, publishPicture } from './publish.ts';
import type { RunEvent } from './run-contract.ts';
import type { ItemSpec } from './specs.ts';

export interface OptimiseSettings {
  readonly lanes: number;
  readonly checkpointEvery: number;
  readonly hasPreviews: boolean;
  readonly signal: AbortSignal;
  readonly onEvent: (event: RunEvent) => void;
}

/** An item on a lane. */
interface Work {
  readonly spec: ItemSpec;
  readonly trace: Record<string, unknown>[];
  readonly before: Effort;
  readonly startedAt: number;
}

/** What became of the items that got a result. */
export interface Outcome {
  readonly succeeded: number;
  readonly failed: number;
}

export async function optimise(
  engine: Engine,
  place: ItemPlace,
  items: readonly ItemSpec[],
  settings: OptimiseSettings,
): Promise<Outcome> {
  const optimiser = new Optimiser(engine, place, settings);
  return optimiser.run(items);
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

  async run(items: readonly ItemSpec[]): Promise<Outcome> {
    const { lanes, checkpointEvery, signal } = this.#settings;
    const scheduler = new LaneScheduler(this.#engine.models, { lanes, checkpointEvery, signal });
    for await (const event of scheduler.run(this.#requests(items))) {
      const work = this.#works.get(event.id);
      if (work) await this.#follow(event, work);
    }
    return { succeeded: this.#succeeded, failed: this.#failed };
  }

  /** Items as lanes ask for them; what the store knows of an item is read when its turn comes. */
  async *#requests(items: readonly ItemSpec[]): AsyncGenerator<LaneRequest> {
    const bank = noiseBank(3 * this.#engine.models.cutoutSize ** 2);
    for (const spec of items) {
      const { state, trace, effort, skipped } = await resumeItem(this.#place, spec);
      for (const { path, reason } of skipped) {
        this.#tell({ type: 'note', run: this.#place.run, item: spec.item, message: `passed over ${path}: ${reason}` });
      }
      this.#works.set(spec.item, { spec, trace, before: effort, startedAt: performance.now() });
      const prompt = await this.#engine.preparePrompt(spec.tokens);
      const noise = philoxNoise(spec.seed, bank);
      yield { id: spec.item, prompt, options: spec.options, noise, ...(state && { state }) };
    }
  }

  async #follow(event: SearchEvent, work: Work): Promise<void> {
    const { spec, trace } = work;
    const steps = totalSteps(spec.options);
    switch (event.kind) {
      case 'started':
        this.#tell({ ...this.#of(spec), type: 'start', step: event.step, steps });
        break;
      case 'step':
        trace.push(traceRow(event.report));
        this.#tell({ ...this.#of(spec), type: 'step', step: event.step, steps, losses: lossesOf(event.report) });
        if (this.#settings.hasPreviews && isPreviewStep(event.step) && event.step < steps)
          await this.#preview(spec, event.state);
        break;
      case 'checkpoint':
        await this.#save(work, event.state);
        break;
      case 'done':
        await this.#save(work, event.state);
        this.#finish(
          spec,
          await publishPicture(this.#engine, this.#place, { spec, latent: event.latent, ...this.#effort(work) }),
        );
        break;
      case 'failed':
        await this.#fail(work, event.error, event.step);
        break;
    }
  }

  async #save(work: Work, state: LaneState): Promise<void> {
    const path = await saveItem(this.#place, work.spec, { state, trace: work.trace, effort: this.#effort(work) });
    this.#tell({ ...this.#of(work.spec), type: 'checkpoint', step: state.step, path });
  }

  async #preview(spec: ItemSpec, { latent, step }: LaneState): Promise<void> {
    const [height, width] = this.#engine.imageSize;
    const pixels01 = await this.#engine.models.decode(latent, 1);
    const provenance = provenanceOf(this.#engine, spec);
    const path = await savePreview(this.#place, { item: spec.item, step }, { pixels01, height, width, provenance });
    this.#tell({ ...this.#of(spec), type: 'preview', step, path });
  }

  #finish(spec: ItemSpec, { path, scores }: Finished): void {
    this.#works.delete(spec.item);
    this.#succeeded += 1;
    this.#tell({ ...this.#of(spec), type: 'done', path, scores });
  }

  async #fail(work: Work, error: RefereeError, step: number): Promise<void> {
    const { spec } = work;
    this.#works.delete(spec.item);
    this.#failed += 1;
    await publishFailure(this.#engine, this.#place, { spec, error, step, ...this.#effort(work) });
    const { code, message, hint } = error;
    this.#tell({ ...this.#of(spec), type: 'failed', error: { code, message, ...(hint !== undefined && { hint }) } });
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

  #tell(event: RunEvent): void {
    this.#settings.onEvent(event);
  }
}

function lossesOf(report: StepReport): Record<string, number> {
  if (report.kind === 'sample') return report.score === undefined ? {} : { match: report.score };
  const { losses } = report;
  return losses ? { itm: losses.itm, itg: losses.itg, ...(losses.itc !== undefined && { itc: losses.itc }) } : {};
}
