/**
 * @file Many prompts, many pictures: a run over any iterable of prompts, whose results are values in an async iterator.
 */
import { randomBytes } from 'node:crypto';

import { z } from 'zod';

import { RefereeError } from '../../errors.ts';
import type { MethodOptions } from '../../inversion/options.ts';
import { resolveOptions } from '../../inversion/options.ts';
import { runId } from '../../store/ids.ts';
import { asRunId, runKey } from '../../store/layout.ts';
import type { RunId } from '../../store/layout.ts';
import { workerIdentity } from '../attempt-log.ts';
import { DEFAULT_CHECKPOINT_EVERY, DEFAULT_LANES } from '../defaults.ts';
import { toRunEvent } from '../run-events.ts';
import type { RunEvent } from '../run-contract.ts';
import type { ItemSpec } from '../specs.ts';
import type { Asked, AskedSource } from './asked.ts';
import { listedAsked, Resolver, StreamedAsked } from './asked.ts';
import type { ResultOrder, SearchHooks } from './results.ts';
import { checkOrder, Results } from './results.ts';
import { RunRows } from './run-rows.ts';
import { RunSource } from './run-source.ts';
import type { RunResult } from './run-source.ts';
import { checkSettings, lanesField, SETTINGS_FIELDS, storeOf } from './settings.ts';
import type { PromptFields, SearchSettings } from './settings.ts';
import { openWorkplace } from './workplace.ts';
import type { Workplace } from './workplace.ts';

/** A prompt of a run: a text, or a text with its own seeds and options. */
export type RunPrompt = string | (PromptFields & { /** One picture each. */ readonly seeds?: readonly number[] });

export interface RunSettings extends SearchSettings {
  /**
   * An array is looked at whole before any work, and the run has the id that `referee run` would give it. Anything else is
   * read as searches become free, so it may be endless.
   */
  readonly input: Iterable<RunPrompt> | AsyncIterable<RunPrompt>;
  /**
   * Of the run, for inputs that are no arrays: 1 to 64 of a-z, 0-9 and "-". The same id in the same store goes on with that
   * run. Default: a new one.
   */
  readonly id?: string;
  /** Searches at the same time. Default 8. */
  readonly concurrency?: number;
  /** The same under the name of the command's flag. */
  readonly lanes?: number;
  /** Of the method, for prompts that say nothing else. */
  readonly options?: Partial<MethodOptions>;
  /** Whether previews are stored. Default false. */
  readonly previews?: boolean;
  /** Told what happens on the way: steps, checkpoints. */
  readonly onEvent?: (event: RunEvent) => void;
}

export interface Run extends AsyncDisposable {
  readonly id: string;
  /** In the store: a folder, or a name in memory. */
  readonly folder: string;
  /**
   * Searches and tells what became of each prompt, as soon as it is known or in the order of the input. Failures are
   * values. Leaving the loop writes checkpoints; asked again, the run goes on (an input that is no array only once).
   *
   * @throws RefereeError from the iteration: `Interrupted` when the signal fired, and whatever keeps everything from going
   * on, such as a full disk
   */
  results(options?: { readonly order?: ResultOrder }): AsyncIterableIterator<RunResult, undefined>;
  /** Ends an iteration that is still going on, with checkpoints, and releases its devices. */
  close(): Promise<void>;
}

const settingsSchema = z.strictObject({
  ...SETTINGS_FIELDS,
  input: z.custom<RunSettings['input']>(isIterable, { error: 'an iterable of prompts' }),
  id: z.string({ error: 'text' }).optional(),
  concurrency: lanesField.optional(),
  lanes: lanesField.optional(),
  options: z.custom<Partial<MethodOptions>>((value) => typeof value === 'object', { error: 'an object' }).optional(),
  previews: z.boolean({ error: 'true or false' }).default(false),
  onEvent: z
    .custom<(event: RunEvent) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
});

type Settings = z.output<typeof settingsSchema>;

/**
 * Opens a run: checks everything that can be checked before any work. Searching begins with the first result that is
 * asked for.
 *
 * @example
 * await using run = await openRun({ input: ['a red circle', 'a blue square'], store: 'runs' });
 * for await (const result of run.results()) console.log(result.ok ? result.path : result.error.code);
 * @throws RefereeError for settings that are wrong, a pack that is not there, a store that cannot be written
 */
export async function openRun(settings: RunSettings): Promise<Run> {
  const checked = checkSettings(settingsSchema, settings, 'openRun');
  if (checked.concurrency !== undefined && checked.lanes !== undefined) {
    throw new RefereeError('InvalidOption', 'openRun: expected either "concurrency" or "lanes", found both');
  }
  const { store, isLasting } = storeOf(checked.store);
  const workplace = await openWorkplace(checked.pack, store);
  resolveOptions(workplace.defaults, checked.options);
  const opening = { settings: checked, workplace, isLasting };
  if (Array.isArray(checked.input)) return openList(opening, checked.input);
  return openStream(opening);
}

interface Opening {
  readonly settings: Settings;
  readonly workplace: Workplace;
  readonly isLasting: boolean;
}

async function openList(opening: Opening, input: readonly unknown[]): Promise<Run> {
  const { settings, workplace } = opening;
  if (settings.id !== undefined) {
    throw new RefereeError('InvalidOption', 'openRun: "id": an array has the id of its items; found one besides');
  }
  const resolver = new Resolver(workplace, settings.options ?? {});
  const asked = input.flatMap((data) => resolver.resolve(data));
  const items = uniqueItems(asked);
  const run = runId(items.map(({ item }) => item));
  const rows = await RunRows.create({ ...workplace, run }, items);
  return new LocalRun(opening, { run, rows, items, input: () => listedAsked(asked) });
}

async function openStream(opening: Opening): Promise<Run> {
  const { settings, workplace } = opening;
  const run = asRunId(settings.id ?? `s${randomBytes(6).toString('hex')}`);
  const rows = await RunRows.open({ ...workplace, run });
  let isTaken = false;
  const input = (signal: AbortSignal): AskedSource => {
    if (isTaken) throw new RefereeError('InvalidInput', `run ${run}: its input was read before and cannot be again`);
    isTaken = true;
    return new StreamedAsked(settings.input, new Resolver(workplace, settings.options ?? {}), signal);
  };
  return new LocalRun(opening, { run, rows, items: [], input });
}

/** Each item once, in the order in which they are first asked for. */
export function uniqueItems(asked: readonly Asked[]): ItemSpec[] {
  const items = new Map<string, ItemSpec>();
  for (const one of asked) {
    if ('spec' in one && !items.has(one.spec.item)) items.set(one.spec.item, { ...one.spec, index: items.size });
  }
  return [...items.values()];
}

interface RunParts {
  readonly run: RunId;
  readonly rows: RunRows;
  /** All of them, or none where they are not known yet. */
  readonly items: readonly ItemSpec[];
  readonly input: (signal: AbortSignal) => AskedSource;
}

class LocalRun implements Run {
  readonly id: string;
  readonly folder: string;
  readonly #opening: Opening;
  readonly #parts: RunParts;
  #results: Results | undefined;

  constructor(opening: Opening, parts: RunParts) {
    this.#opening = opening;
    this.#parts = parts;
    this.id = parts.run;
    this.folder = opening.workplace.store.locate(runKey(parts.run)).replace(/[/\\][^/\\]*$/, '');
  }

  results({ order = 'completion' }: { readonly order?: ResultOrder } = {}): Results {
    checkOrder(order);
    if (this.#results?.isOpen === true) {
      throw new RefereeError('InvalidInput', `run ${this.id}: its results are being taken already`);
    }
    const { signal } = this.#opening.settings;
    this.#results = new Results({ order, ahead: this.#lanes, signal, search: (hooks) => this.#search(hooks) });
    return this.#results;
  }

  async close(): Promise<void> {
    await this.#results?.return();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #lanes(): number {
    const { concurrency, lanes } = this.#opening.settings;
    const most = concurrency ?? lanes ?? DEFAULT_LANES;
    return this.#parts.items.length > 0 ? Math.min(most, this.#parts.items.length) : most;
  }

  async #search({ onResult, signal }: SearchHooks): Promise<RunSource> {
    const { settings, workplace, isLasting } = this.#opening;
    const { run, rows, items } = this.#parts;
    const { provider, threads, previews, onEvent } = settings;
    const input = this.#parts.input(signal);
    try {
      const { searchAll } = await import('./searches.ts');
      const source = new RunSource({ input, rows, of: { ...workplace, run }, onResult, signal });
      const checkpointEvery =
        settings.checkpointEvery ?? (isLasting ? DEFAULT_CHECKPOINT_EVERY : Number.MAX_SAFE_INTEGER);
      const searching = {
        lanes: this.#lanes,
        checkpointEvery,
        previews: previews ? 'stored' : 'none',
        signal,
        ...(isLasting && { worker: workerIdentity() }),
      } as const;
      const job = { workplace, run, source, known: items, provider, threads, settings: searching };
      for await (const event of searchAll(job)) {
        onEvent?.(toRunEvent(event));
        await source.follow(event);
      }
      await rows.finish();
      return source;
    } finally {
      await input.close();
    }
  }
}

/** A text is one too, of characters, and surely not meant. */
export function isIterable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);
}
