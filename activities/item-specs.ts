/**
 * @file From the record of an item in the store to what will be searched: the spec as it was written once, or else the row
 * of the prompts. Either way the id is derived again, so that a record of another pack, or an altered one, is refused.
 */
import { z } from 'zod';

import { isRefereeError, RefereeError, quoted } from '../errors.ts';
import type { MethodOptions } from '../inversion/options.ts';
import { resolveOptions } from '../inversion/options.ts';
import type { Pack } from '../models/packs/resolve.ts';
import { contentDigest } from '../store/ids.ts';
import { itemKey, PROMPTS_PER_PART, promptsKey } from '../store/layout.ts';
import type { ItemId, ObjectKey, RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { promptRows, readItemText, readRun, writeSpec } from '../store/run.ts';
import type { PromptRow } from '../store/run.ts';
import type { PromptTokenizer } from './prompts.ts';
import { specFile } from './run-files.ts';
import { packDefaults, resolveItem } from './specs.ts';
import type { DescribedItem, ItemSpec } from './specs.ts';

const specSchema = z.object({
  index: z.int().min(0),
  id: z.string().optional(),
  prompt: z.string(),
  seed: z.int().min(0),
  options: z.record(z.string(), z.unknown()),
  tags: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()),
});

/** Pages of prompts in memory: a worker has items of few pages at a time. */
const KEPT_PARTS = 4;

export interface ItemAddress {
  readonly run: RunId;
  readonly item: ItemId;
  /** Place in the input, from 0. */
  readonly index: number;
}

export interface SpecsDependencies {
  readonly store: ObjectStore;
  readonly pack: Pack;
  readonly tokenizer: PromptTokenizer;
}

export class ItemSpecs {
  readonly #of: SpecsDependencies;
  readonly #defaults: MethodOptions;
  /** Runs that are known to be of this pack. */
  readonly #checked = new Set<RunId>();
  /** Pages of prompts that were read last. */
  readonly #parts = new Map<ObjectKey, Promise<PromptRow[]>>();

  constructor(of: SpecsDependencies) {
    this.#of = of;
    this.#defaults = packDefaults(of.pack);
  }

  /**
   * The spec of an item; `spec.json` is written if it is not there.
   *
   * @throws RefereeError NotFound for a run that is not in the store, InvalidPack for one of another pack; and, about the
   * item alone (`isOfItem`), InvalidStore for a record that does not give the item's id, InvalidInput for a prompt that the
   * pack cannot read
   */
  async open(at: ItemAddress): Promise<ItemSpec> {
    const { store, pack } = this.#of;
    await this.#checkRun(at.run);
    const stored = await this.#fromSpec(at);
    if (stored) return stored;
    const spec = this.#resolved(at, fields(await this.#row(at)));
    await writeSpec(store, at.run, at.item, specFile(spec, pack));
    return spec;
  }

  /** What the store has of an item whose spec cannot be opened: as much as can be read. */
  async describe(at: ItemAddress): Promise<DescribedItem> {
    const { store, pack } = this.#of;
    await this.#checkRun(at.run);
    const text = await readItemText(store, at, 'spec.json');
    const stored = loose(text) ?? {};
    const row = await this.#row(at).catch(() => undefined);
    const prompt = stored.prompt ?? row?.prompt ?? '';
    const seed = stored.seed ?? row?.seed ?? 0;
    const id = stored.id ?? row?.id;
    const options = this.#optionsOr(stored.options ?? row?.overrides);
    const digest = contentDigest({ prompt, seed, options, packDigest: pack.digest });
    const { tags = row?.tags ?? [], metadata = row?.metadata ?? {} } = stored;
    return {
      item: at.item,
      index: at.index,
      digest,
      prompt,
      seed,
      options,
      tags,
      metadata,
      ...(id !== undefined && { id }),
    };
  }

  #optionsOr(overrides: Readonly<Record<string, unknown>> = {}): MethodOptions {
    try {
      return resolveOptions(this.#defaults, overrides);
    } catch {
      return this.#defaults;
    }
  }

  async #checkRun(run: RunId): Promise<void> {
    if (this.#checked.has(run)) return;
    const { store, pack } = this.#of;
    const record = await readRun(store, run);
    if (!record) throw new RefereeError('NotFound', `run ${run} is not in the store: ${store.root}`);
    if (record.pack.digest !== pack.digest) {
      const digests = `found ${record.pack.digest.slice(0, 12)}, expected ${pack.digest.slice(0, 12)}`;
      throw new RefereeError('InvalidPack', `run ${run} is of another pack: ${digests}`, {
        hint: 'start a worker with the pack of the run',
      });
    }
    this.#checked.add(run);
  }

  async #fromSpec(at: ItemAddress): Promise<ItemSpec | undefined> {
    const { store } = this.#of;
    const text = await readItemText(store, at, 'spec.json');
    if (text === undefined) return undefined;
    const where = store.locate(itemKey(at.run, at.item, 'spec.json'));
    const parsed = specSchema.safeParse(json(text, { where, item: at.item }));
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      throw unreadable(at.item, `${where}: "${issue.path.join('.')}": ${issue.message}`);
    }
    const { options, ...rest } = parsed.data;
    return this.#resolved(at, { ...rest, overrides: options }, where);
  }

  async #row({ run, item, index }: ItemAddress): Promise<PromptRow> {
    const part = Math.floor(index / PROMPTS_PER_PART);
    let row: PromptRow | undefined;
    // A run that is read from a stream grows: a page that was read before may be longer by now.
    for (const isAnew of [false, true]) {
      if (isAnew) this.#parts.delete(promptsKey(run, part));
      row = (await this.#part(run, part))[index % PROMPTS_PER_PART];
      if (row?.item === item) return row;
    }
    throw unreadable(item, `run ${run}: expected item ${item} at place ${index}, found ${row?.item ?? 'nothing'}`);
  }

  /** Pages are written once, and items come in their order: a page is read for all of its items. */
  #part(run: RunId, part: number): Promise<PromptRow[]> {
    const key = promptsKey(run, part);
    const known = this.#parts.get(key);
    if (known) return known;
    const { store } = this.#of;
    const rows = promptRows(store, run, { from: part * PROMPTS_PER_PART, count: PROMPTS_PER_PART });
    this.#parts.set(key, rows);
    rows.catch(() => this.#parts.delete(key));
    for (const oldest of this.#parts.keys()) {
      if (this.#parts.size <= KEPT_PARTS) break;
      this.#parts.delete(oldest);
    }
    return rows;
  }

  #resolved(at: ItemAddress, given: Fields, where?: string): ItemSpec {
    const { pack, tokenizer } = this.#of;
    const { id, ...rest } = given;
    const request = { ...rest, index: at.index, ...(id !== undefined && { id }) };
    let spec: ItemSpec;
    try {
      spec = resolveItem(request, { pack, tokenizer, defaults: this.#defaults });
    } catch (error) {
      throw isRefereeError(error) ? ofItem(error, at.item) : error;
    }
    if (spec.item === at.item) return spec;
    const place = where ?? `run ${at.run}, place ${at.index}`;
    throw unreadable(at.item, `${place}: expected the record of item ${at.item}, found ${spec.item}`);
  }
}

/** Whether an error is about what the store has of one item, and not about the way to the store. */
export function isOfItem(error: unknown): error is RefereeError {
  return isRefereeError(error) && error.details['item'] !== undefined;
}

function unreadable(item: ItemId, message: string, cause?: unknown): RefereeError {
  return new RefereeError('InvalidStore', message, { details: { item }, ...(cause !== undefined && { cause }) });
}

function ofItem({ code, message, hint, details, cause }: RefereeError, item: ItemId): RefereeError {
  const options = { details: { ...details, item }, cause, ...(hint !== undefined && { hint }) };
  return new RefereeError(code, message, options);
}

/** The fields of a record that are well formed, one by one; undefined where there is no record. */
function loose(text: string | undefined): Partial<z.infer<typeof specSchema>> | undefined {
  let data: unknown;
  try {
    data = JSON.parse(text ?? 'null');
  } catch {
    return undefined;
  }
  if (typeof data !== 'object' || data === null) return undefined;
  const found = Object.entries(specSchema.shape).flatMap(([name, schema]) => {
    const parsed = schema.safeParse((data as Record<string, unknown>)[name]);
    return parsed.success && parsed.data !== undefined ? [[name, parsed.data]] : [];
  });
  return Object.fromEntries(found) as Partial<z.infer<typeof specSchema>>;
}

interface Fields {
  readonly prompt: string;
  readonly seed: number;
  readonly id?: string | undefined;
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

function fields({ prompt, seed, id, overrides = {}, tags = [], metadata = {} }: PromptRow): Fields {
  return { prompt, seed, id, overrides, tags, metadata };
}

function json(text: string, { where, item }: { readonly where: string; readonly item: ItemId }): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreadable(item, `${where}: not JSON: ${quoted(text)}`, cause);
  }
}
