/**
 * @file What every call of the library takes besides its prompts: models, place, device, signal. Checked once, at the call.
 */
import { z } from 'zod';

import { RefereeError, quoted } from '../../errors.ts';
import type { MethodOptions } from '../../inversion/options.ts';
import { suggestion } from '../../inversion/suggest.ts';
import type { ProviderName } from '../../models/runtime/device.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import type { ObjectStore } from '../../store/object-store.ts';
import { openStore } from '../../store/open-store.ts';

export interface SearchSettings {
  /** Name or folder of the models. Default `shapes`, which comes with referee. */
  readonly pack?: string;
  /**
   * Where results and checkpoints are kept: a folder, a `file:` URL, `s3://bucket/prefix`, or a store of one's own. What is there already is
   * used. Without one everything is kept in memory, as long as the results are.
   */
  readonly store?: string | ObjectStore;
  /** What computes. Default `auto`: the best that passes its self-test. */
  readonly provider?: ProviderName | 'auto';
  /** CPU cores to use. By default as many as there are and the searches can make use of. */
  readonly threads?: number;
  /** Steps between checkpoints. Default 16; in memory only when a search is interrupted. */
  readonly checkpointEvery?: number;
  /** Looked at between steps. When it fires, checkpoints are written and the iteration throws `Interrupted`. */
  readonly signal?: AbortSignal;
}

/** A prompt and what belongs to it. Options of the method stand beside it, under the names that they have everywhere. */
export interface PromptFields extends Partial<MethodOptions> {
  readonly prompt: string;
  /** Default 0. */
  readonly seed?: number;
  /** A name of one's own, given back with the result. */
  readonly id?: string;
  /** Of the picture, pixels; a pack has one size. */
  readonly width?: number;
  readonly height?: number;
  readonly tags?: readonly string[];
  /** Whatever one likes; kept in `result.json`. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export const wholeFrom1 = (max: number) => {
  const error = `a whole number from 1 to ${max}`;
  return z.int({ error }).min(1, { error }).max(max, { error });
};

const STORE = 'a folder, a file: URL, s3://bucket/prefix or an object store';
const PROVIDERS = ['auto', 'cpu', 'cuda', 'tensorrt', 'webgpu', 'dml', 'coreml'] as const;

export const SETTINGS_FIELDS = {
  pack: z.string({ error: 'the name or the folder of a pack' }).default('shapes'),
  store: z.union([z.string(), z.custom<ObjectStore>(isStore)], { error: STORE }).optional(),
  provider: z.enum(PROVIDERS, { error: `one of ${PROVIDERS.join(', ')}` }).default('auto'),
  threads: wholeFrom1(1024).optional(),
  checkpointEvery: wholeFrom1(10_000).optional(),
  signal: z.custom<AbortSignal>(isSignal, { error: 'an AbortSignal' }).optional(),
};

export const lanesField = wholeFrom1(256);

/** @throws RefereeError InvalidOption that names the setting, what was expected and what was found */
export function checkSettings<S extends z.ZodObject>(schema: S, given: unknown, call: string): z.output<S> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    const field = issue.keys[0]!;
    const near = suggestion(field, Object.keys(schema.shape));
    throw new RefereeError('InvalidOption', `${call}: unknown setting ${quoted(field)}${near}`, { details: { field } });
  }
  const field = String(issue.path[0] ?? 'settings');
  const value: unknown = issue.path.length > 0 ? Reflect.get(given as object, field) : given;
  const found = typeof value === 'object' && value !== null ? 'another object' : quoted(value);
  const expected = issue.path.length > 0 ? issue.message : 'an object';
  throw new RefereeError('InvalidOption', `${call}: ${field}: expected ${expected}, found ${found}`, {
    details: { field },
  });
}

export interface Kept {
  readonly store: ObjectStore;
  /** Whether anything outlives the process. */
  readonly isLasting: boolean;
}

export function storeOf(store: string | ObjectStore | undefined): Kept {
  if (store === undefined) return { store: new MemoryStore(), isLasting: false };
  return { store: typeof store === 'string' ? openStore(store) : store, isLasting: true };
}

function isStore(value: unknown): boolean {
  const methods = ['locate', 'get', 'put', 'list', 'head', 'delete', 'check'];
  if (typeof value !== 'object' || value === null) return false;
  return methods.every((name) => typeof Reflect.get(value, name) === 'function');
}

/** By its tag, so that signals of another realm are signals too. */
function isSignal(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object AbortSignal]';
}

export function interrupted(signal: AbortSignal | undefined, what: string): RefereeError {
  return new RefereeError('Interrupted', what, { cause: signal?.reason });
}
