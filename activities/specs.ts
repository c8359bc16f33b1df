/**
 * @file From what was asked for to what will be done: options resolved against the pack, prompts checked, ids derived.
 * All of it before any work; the first thing that is wrong is an error that names where it was asked for.
 */
import { isRefereeError, RefereeError, quoted } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { MethodOptions } from '../inversion/options.ts';
import { resolveOptions, SD15_DEFAULTS } from '../inversion/options.ts';
import type { Pack } from '../models/packs/resolve.ts';
import { contentDigest, itemId, runId } from '../store/ids.ts';
import type { ItemId, RunId } from '../store/layout.ts';
import type { PromptTokenizer, TokenizedPrompt } from './prompts.ts';
import { rejection } from './rejections.ts';
import type { OnInvalid, Rejection } from './rejections.ts';
import type { RunItemRequest } from './run-contract.ts';

/** One search, resolved. */
export interface ItemSpec {
  readonly item: ItemId;
  /** sha256 of everything that determines the picture. */
  readonly digest: string;
  readonly index: number;
  readonly prompt: string;
  readonly seed: number;
  readonly options: MethodOptions;
  readonly tokens: TokenizedPrompt;
  readonly id?: string;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What a result says of an item, also of one whose prompt cannot be tokenized. */
export type DescribedItem = Omit<ItemSpec, 'tokens'>;

export interface RunSpec {
  readonly run: RunId;
  readonly items: readonly ItemSpec[];
  /** Things worth saying that are no errors. */
  readonly notes: readonly string[];
  /** What was asked for and cannot be searched; empty unless invalid items are skipped. */
  readonly rejected: readonly Rejection[];
}

/** Defaults of a pack: the published ones with the manifest's put in. */
export function packDefaults(pack: Pack): MethodOptions {
  const where = `${pack.path('manifest.json')}: defaults`;
  return within({ where, code: 'InvalidPack' }, () => resolveOptions(SD15_DEFAULTS, pack.manifest.defaults));
}

/**
 * @throws RefereeError InvalidInput or InvalidOption that begins with the file and line of the item; with `skip` only when
 * no item is left
 */
export function resolveRun(
  requests: readonly RunItemRequest[],
  pack: Pack,
  tokenizer: PromptTokenizer,
  onInvalid: OnInvalid = 'fail',
): RunSpec {
  if (requests.length === 0) throw new RefereeError('InvalidInput', 'expected at least one prompt, found none');
  const defaults = packDefaults(pack);
  const items = new Map<ItemId, ItemSpec>();
  const notes = new Set<string>();
  const rejected: Rejection[] = [];
  for (const request of requests) {
    const { origin } = request;
    const where = origin && `${origin.file}:${origin.line}`;
    let spec: ItemSpec;
    try {
      spec = within({ where, ...(origin && { details: { ...origin } }) }, () =>
        resolveItem(request, { pack, tokenizer, defaults }),
      );
    } catch (error) {
      if (onInvalid === 'fail' || !isRefereeError(error)) throw error;
      rejected.push(rejection(error, request));
      continue;
    }
    const earlier = items.get(spec.item);
    if (earlier)
      notes.add(
        `${where ?? quoted(request.prompt)}: the same prompt, seed and options as item ${earlier.index + 1}: drawn once`,
      );
    else items.set(spec.item, { ...spec, index: items.size });
    for (const cut of spec.tokens.cuts) notes.add(`${where ?? quoted(request.prompt)}: the prompt is too long: ${cut}`);
  }
  const all = [...items.values()];
  if (all.length === 0)
    throw new RefereeError('InvalidInput', `expected a usable prompt, found none: ${rejected[0]!.message}`);
  return { run: runId(all.map(({ item }) => item)), items: all, notes: [...notes], rejected };
}

/** What requests are resolved against. */
export interface SpecContext {
  readonly pack: Pack;
  readonly tokenizer: PromptTokenizer;
  readonly defaults: MethodOptions;
}

/** @throws RefereeError InvalidInput or InvalidOption that names the field */
export function resolveItem(request: RunItemRequest, { pack, tokenizer, defaults }: SpecContext): ItemSpec {
  const { prompt, seed, index, id, tags, metadata } = request;
  if (prompt.trim() === '')
    throw new RefereeError('InvalidInput', `prompt: expected some text, found ${quoted(prompt)}`);
  const options = resolveOptions(defaults, request.overrides);
  const tokens = tokenizer.tokenize(prompt, options);
  const content = { prompt, seed, options, packDigest: pack.digest };
  return {
    item: itemId(content),
    digest: contentDigest(content),
    index,
    prompt,
    seed,
    options,
    tokens,
    tags,
    metadata,
    ...(id !== undefined && { id }),
  };
}

interface Place {
  readonly where: string | undefined;
  /** Instead of the error's own. */
  readonly code?: ErrorCode;
  readonly details?: Readonly<Record<string, string | number>>;
}

/** Errors of `work` begin with the place. */
function within<T>({ where, code, details }: Place, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (where === undefined || !isRefereeError(error)) throw error;
    throw new RefereeError(code ?? error.code, `${where}: ${error.message}`, {
      cause: error,
      details: { ...error.details, ...details },
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  }
}
