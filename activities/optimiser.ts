/**
 * @file Items on lanes: each brings its own place in the store, may be of a run of its own, and leaves by itself. What
 * breaks one item (its checkpoint, its place, a step that its device refuses) ends that item alone; what breaks the models
 * for everybody ends all.
 */
import type { RefereeError } from '../errors.ts';
import type { SearchEvent, StepReport } from '../inversion/events.ts';
import { noiseBank } from '../inversion/noise-bank.ts';
import { philoxNoise } from '../inversion/noise.ts';
import type { LaneRequest } from '../inversion/search.ts';
import { LaneScheduler, LATER } from '../inversion/search.ts';
import type { LaneState } from '../inversion/state.ts';
import { totalSteps } from '../inversion/state.ts';
import { FencedStore } from '../store/fenced-store.ts';
import type { LogEvent } from '../store/log.ts';
import type { Provenance } from '../store/provenance.ts';
import type { AttemptLog, LogFields } from './attempt-log.ts';
import { codeOf } from './attempt-log.ts';
import type { Engine } from './engine.ts';
import type { Effort, ItemPlace } from './item-store.ts';
import { isPreviewStep, resumeItem, saveItem, savePreview, traceRow } from './item-store.ts';
import { lanesAfter } from './lanes-after.ts';
import { provenanceOf, publishFailure, publishPicture } from './publish.ts';
import type { RunEvent } from './run-contract.ts';
import type { ItemSpec } from './specs.ts';

/** One attempt at an item. */
export interface Assignment {
  /** Names the attempt among those that run at the same time; two attempts at one item are two. */
  readonly key: string;
  readonly spec: ItemSpec;
  readonly place: ItemPlace;
  /** Steps between checkpoints. */
  readonly checkpointEvery: number;
  /** `stored`: kept as files too; `told`: only told. */
  readonly previews: 'stored' | 'told' | 'none';
  /**
   * Asked at every border between steps and before every write. `leave`: save and go. `abandon`: somebody else has the
   * item now; go, and write nothing more.
   */
  readonly standing?: () => Standing;
  /** Keeps what happens to the attempt. */
  readonly log?: AttemptLog;
  /** Why it leaves, for the log. */
  readonly reason?: () => string;
  /** Told why the item could not even begin; without it that error ends everything. */
  readonly onRefused?: (error: unknown) => void;
}

export type Standing = 'stay' | 'leave' | 'abandon';

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

/** What happened to which attempt. After `left` and `broken`, and after the events `done` and `failed`, it is over. */
export type AssignmentNews = { readonly of: Assignment } & (
  | { readonly kind: 'event'; readonly event: OptimiseEvent }
  /** `step`: steps that are in the store. */
  | { readonly kind: 'left'; readonly step: number }
  | { readonly kind: 'broken'; readonly error: unknown }
);

export interface AssignmentSource {
  /** Undefined: there are no more. `LATER` only without `wait`: the next one is not there yet. */
  pull(how: { readonly wait: boolean }): Promise<Assignment | typeof LATER | undefined>;
}

export interface OptimiserSettings {
  /** Most items at the same time. */
  readonly lanes: number;
  /** Saves everything and ends. */
  readonly signal: AbortSignal;
}

/** An item on a lane. */
interface Work {
  readonly of: Assignment;
  /** As its lane got it, but for the state. */
  readonly request: LaneRequest;
  readonly trace: Record<string, unknown>[];
  readonly before: Effort;
  readonly startedAt: number;
  /** After the newest step that this process made or found. */
  state?: LaneState;
  /** Steps that the newest checkpoint holds. */
  saved: number;
  /** Takes part in the steps. */
  isOnLane: boolean;
  /** Its beginning was told. */
  isTold: boolean;
  isBroken: boolean;
}

export class Optimiser {
  readonly #engine: Engine;
  readonly #settings: OptimiserSettings;
  readonly #works = new Map<string, Work>();
  readonly #news: AssignmentNews[] = [];
  #isSourceBroken = false;

  constructor(engine: Engine, settings: OptimiserSettings) {
    this.#engine = engine;
    this.#settings = settings;
  }

  /**
   * Searches until the source has no more or the signal fires. The next step begins when the last news of the one before
   * is taken; who stops taking news (`return`) gets checkpoints of everything that runs.
   */
  async *run(source: AssignmentSource): AsyncGenerator<AssignmentNews, void, undefined> {
    let lanes = this.#settings.lanes;
    let isLeft = true; // by whoever takes the news
    try {
      for (let isOver = false; !isOver;) {
        try {
          yield* this.#search(source, lanes);
          isOver = true;
        } catch (error) {
          const onLanes = this.#onLanes();
          const rest = this.#isSourceBroken ? undefined : lanesAfter(error, onLanes.length);
          if (rest === undefined) throw error;
          lanes = rest === 0 ? this.#settings.lanes : rest;
          if (rest === 0) yield* this.#breakAlone(onLanes[0]!, error);
          else yield fewer(onLanes, error, rest);
        }
      }
      isLeft = false;
      // Items that were waiting for a lane when everything was asked to end.
      await this.#saveAll('leave', { reason: 'interrupted' });
    } catch (error) {
      isLeft = false;
      // What broke the searches may also keep them from being saved; it is the first error that is told.
      await this.#saveAll('error', { code: codeOf(error) }).catch(() => undefined);
      throw error;
    } finally {
      if (isLeft) await this.#saveAll('leave', { reason: 'interrupted' });
      this.#works.clear();
    }
  }

  async *#search(source: AssignmentSource, lanes: number): AsyncGenerator<AssignmentNews, void, undefined> {
    const { signal } = this.#settings;
    const settings = { lanes, checkpointEvery: Number.MAX_SAFE_INTEGER, signal };
    const scheduler = new LaneScheduler(this.#engine.models, settings);
    for await (const event of scheduler.run(this.#requests(source))) {
      yield* this.#news.splice(0);
      const work = this.#works.get(event.id);
      if (work) yield* this.#guarded(event, work);
    }
    yield* this.#news.splice(0);
  }

  /** Items that take part in the steps; the others wait until those leave lanes. */
  #onLanes(): Work[] {
    return [...this.#works.values()].filter(({ isOnLane, isBroken }) => isOnLane && !isBroken);
  }

  /** Who met an error of the models alone is the one that it belongs to: the others go on. */
  async *#breakAlone(work: Work, error: unknown): AsyncGenerator<AssignmentNews, void, undefined> {
    const { of, state } = work;
    if (state && state.step > work.saved && of.standing?.() !== 'abandon') {
      const event = await this.#save(work, state).catch(() => undefined); // the first error is the one that is told
      if (event) yield { of, kind: 'event', event };
    }
    this.#works.delete(of.key);
    yield* this.#endedLog(of, 'error', { step: work.saved, code: codeOf(error) });
    yield { of, kind: 'broken', error };
  }

  /** Items as lanes ask for them; what the store knows of an item is read when its turn comes. */
  async *#requests(source: AssignmentSource): AsyncGenerator<LaneRequest | typeof LATER> {
    for (const [key, work] of this.#works) {
      if (work.isBroken) this.#works.delete(key);
      else work.isOnLane = false;
    }
    for (const work of [...this.#works.values()]) {
      work.isOnLane = true;
      yield { ...work.request, ...(work.state && { state: work.state }) };
    }
    const bank = noiseBank(3 * this.#engine.models.cutoutSize ** 2);
    for (;;) {
      const request = await this.#next(source, bank);
      if (request === undefined) return;
      if (request !== 'refused') yield request;
    }
  }

  async #next(
    source: AssignmentSource,
    bank: ReturnType<typeof noiseBank>,
  ): Promise<LaneRequest | typeof LATER | 'refused' | undefined> {
    try {
      const of = await source.pull({ wait: this.#works.size === 0 });
      return of === undefined || of === LATER ? of : ((await this.#prepared(of, bank)) ?? 'refused');
    } catch (error) {
      this.#isSourceBroken = true;
      throw error;
    }
  }

  async #prepared(of: Assignment, bank: ReturnType<typeof noiseBank>): Promise<LaneRequest | undefined> {
    const { key, spec, checkpointEvery, standing, onRefused, log } = of;
    const place = fenced(of);
    try {
      const { state, trace, effort, skipped } = await resumeItem(place, spec);
      log?.begin({ attempts: effort.attempts, step: state?.step, steps: totalSteps(spec.options), skipped });
      for (const { path, reason } of skipped) {
        const message = `passed over ${path}: ${reason}`;
        this.#news.push({ of, kind: 'event', event: { type: 'note', run: place.run, item: spec.item, message } });
      }
      const prompt = await this.#engine.preparePrompt(spec.tokens);
      const isLeaving = (): boolean => work.isBroken || (standing?.() ?? 'stay') !== 'stay';
      const noise = philoxNoise(spec.seed, bank);
      const request = { id: key, prompt, options: spec.options, noise, checkpointEvery, isLeaving };
      const began = { startedAt: performance.now(), saved: state?.step ?? 0 };
      const marks = { isOnLane: true, isTold: false, isBroken: false };
      const shared = { of: { ...of, place }, request, trace, before: effort, ...(state && { state }) };
      const work: Work = { ...shared, ...began, ...marks };
      this.#works.set(key, work);
      return { ...request, ...(state && { state }) };
    } catch (error) {
      await this.#endLog(of, 'error', { code: codeOf(error) });
      if (!onRefused) throw error;
      onRefused(error);
      return undefined;
    }
  }

  /** What goes wrong in the store with one item takes that item off its lane. */
  async *#guarded(event: SearchEvent, work: Work): AsyncGenerator<AssignmentNews, void, undefined> {
    if (work.isBroken) {
      this.#works.delete(event.id);
      return;
    }
    const { of } = work;
    try {
      if (of.standing?.() === 'abandon') {
        work.isBroken = true;
        yield* this.#endedLog(of, 'given-up', { step: work.saved });
        yield { of, kind: 'left', step: work.saved };
      } else if (event.kind === 'left') {
        if (event.step > work.saved) yield { of, kind: 'event', event: await this.#save(work, event.state) };
        this.#works.delete(of.key);
        yield* this.#endedLog(of, 'leave', { step: work.saved, reason: of.reason?.() ?? 'interrupted' });
        yield { of, kind: 'left', step: work.saved };
      } else {
        for await (const each of this.#follow(event, work)) {
          if (each.type === 'done') yield* this.#endedLog(of, 'done', endOf(work));
          if (each.type === 'failed') yield* this.#endedLog(of, 'failed', { ...endOf(work), code: each.error.code });
          yield { of, kind: 'event', event: each };
        }
        // The signal's checkpoint is the last word of a lane.
        if (event.kind === 'checkpoint' && event.reason === 'drain') {
          this.#works.delete(of.key);
          yield* this.#endedLog(of, 'leave', { step: work.saved, reason: of.reason?.() ?? 'interrupted' });
        }
      }
    } catch (error) {
      work.isBroken = true;
      // Whatever was on its way when the item went to somebody else is no error of the item's.
      if (of.standing?.() === 'abandon') {
        yield* this.#endedLog(of, 'given-up', { step: work.saved });
        yield { of, kind: 'left', step: work.saved };
      } else {
        yield* this.#endedLog(of, 'error', { step: work.saved, code: codeOf(error) });
        yield { of, kind: 'broken', error };
      }
    }
    // A lane that has ended in the scheduler has no further event that would remove it here.
    if (event.kind === 'done' || event.kind === 'failed' || event.kind === 'left') this.#works.delete(of.key);
  }

  async *#follow(
    event: Exclude<SearchEvent, { kind: 'left' }>,
    work: Work,
  ): AsyncGenerator<OptimiseEvent, void, undefined> {
    const { of, trace } = work;
    const { spec, previews } = of;
    const steps = totalSteps(spec.options);
    switch (event.kind) {
      case 'started':
        if (work.isTold) break;
        work.isTold = true;
        yield { ...named(of), type: 'start', step: event.step, steps };
        break;
      case 'step':
        trace.push(traceRow(event.report));
        work.state = event.state;
        yield { ...named(of), type: 'step', step: event.step, steps, losses: lossesOf(event.report) };
        if (previews !== 'none' && isPreviewStep(event.step) && event.step < steps)
          yield await this.#preview(of, event.state);
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
    const { of, trace } = work;
    const path = await saveItem(of.place, of.spec, { state, trace, effort: effortOf(work) });
    if (state.step > work.saved) of.log?.add('checkpoint', { step: state.step });
    work.saved = state.step;
    // The last one is followed by the end, which writes both.
    if (state.step < totalSteps(of.spec.options)) of.log?.flush();
    return { ...named(of), type: 'checkpoint', step: state.step, path };
  }

  async #saveAll(event: 'leave' | 'error', fields: LogFields): Promise<void> {
    for (const work of this.#works.values()) {
      if (work.isBroken) continue; // its log has ended
      const isOurs = work.of.standing?.() !== 'abandon';
      if (isOurs && work.state && work.state.step > work.saved) await this.#save(work, work.state);
      const step = work.saved;
      await (isOurs ? this.#endLog(work.of, event, { step, ...fields }) : this.#endLog(work.of, 'given-up', { step }));
    }
  }

  /** The last line of an attempt, and everything before it, in the store. */
  async #endLog({ log }: Assignment, event: LogEvent, fields: LogFields): Promise<string | undefined> {
    log?.add(event, fields);
    return log?.end();
  }

  /** The same, told where it cannot be written. */
  async *#endedLog(
    of: Assignment,
    event: LogEvent,
    fields: LogFields,
  ): AsyncGenerator<AssignmentNews, void, undefined> {
    const complaint = await this.#endLog(of, event, fields);
    if (complaint === undefined) return;
    const { place, spec } = of;
    const message = `the log of the attempt could not be written: ${complaint}`;
    yield { of, kind: 'event', event: { type: 'note', run: place.run, item: spec.item, message } };
  }

  async #preview(of: Assignment, { latent, step }: LaneState): Promise<OptimiseEvent> {
    const [height, width] = this.#engine.imageSize;
    const pixels01 = await this.#engine.models.decode(latent, 1);
    const picture = { pixels01, height, width, provenance: provenanceOf(this.#engine, of.spec) };
    const isStored = of.previews === 'stored';
    const path = isStored && (await savePreview(of.place, { item: of.spec.item, step }, picture));
    return { ...named(of), type: 'preview', step, picture, ...(path !== false && { path }) };
  }

  async #finish(work: Work, latent: Float32Array): Promise<OptimiseEvent> {
    const { of } = work;
    const picture = { spec: of.spec, latent, ...effortOf(work) };
    const { path, scores } = await publishPicture(this.#engine, of.place, picture);
    return { ...named(of), type: 'done', path, scores };
  }

  async #fail(work: Work, error: RefereeError, step: number): Promise<OptimiseEvent> {
    const { of } = work;
    await publishFailure(this.#engine, of.place, { spec: of.spec, error, step, ...effortOf(work) });
    const { code, message, hint } = error;
    return { ...named(of), type: 'failed', error: { code, message, ...(hint !== undefined && { hint }) } };
  }
}

function fewer(works: readonly Work[], error: unknown, lanes: number): AssignmentNews {
  const { of } = works[0]!;
  const told = error instanceof Error ? error.message : String(error);
  const message = `${told}: goes on with ${lanes} of ${works.length} searches at a time`;
  return { of, kind: 'event', event: { type: 'note', run: of.place.run, message } };
}

function endOf(work: Work): LogFields {
  return { step: work.state?.step ?? work.saved, seconds: Number(effortOf(work).seconds.toFixed(3)) };
}

/** Nothing is written of an item that somebody else has now. */
function fenced({ place, standing }: Assignment): ItemPlace {
  return standing ? { ...place, store: new FencedStore(place.store, () => standing() !== 'abandon') } : place;
}

function effortOf({ before, startedAt }: Work): Effort {
  return { attempts: before.attempts + 1, seconds: before.seconds + (performance.now() - startedAt) / 1000 };
}

interface Named {
  readonly run: string;
  readonly item: string;
  readonly index: number;
  readonly prompt: string;
  readonly seed: number;
}

function named({ place, spec: { item, index, prompt, seed } }: Assignment): Named {
  return { run: place.run, item, index, prompt, seed };
}

function lossesOf(report: StepReport): Record<string, number> {
  if (report.kind === 'sample') return report.score === undefined ? {} : { match: report.score };
  const { losses } = report;
  return losses ? { itm: losses.itm, itg: losses.itg, ...(losses.itc !== undefined && { itc: losses.itc }) } : {};
}
