/**
 * @file From records to the items of a run: one per seed, flags below the record's own fields. How options fit
 * together is checked where they are resolved.
 */
import type { RunItemRequest } from './run-contract.ts';
import { ITEMS_MAX, invalid } from './records.ts';
import type { PromptRecord } from './records.ts';

export interface ItemOptions {
  /** For records that name none. */
  readonly seeds: readonly number[];
  /** Options of the method given as flags; a record's own are stronger. */
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly pack: {
    readonly name: string;
    readonly size: { readonly width: number; readonly height: number };
  };
}

/** @throws InvalidInput naming the line and the field */
export function itemsOf(records: readonly PromptRecord[], { seeds, overrides, pack }: ItemOptions): RunItemRequest[] {
  const items: RunItemRequest[] = [];
  for (const record of records) {
    const { prompt, id, tags, metadata, origin } = record;
    checkSize(record, pack);
    const ofItem = { ...overrides, ...record.overrides };
    for (const seed of record.seeds ?? seeds) {
      const named = { ...(id !== undefined && { id }), ...(origin && { origin }) };
      items.push({ index: items.length, prompt, seed, overrides: ofItem, tags, metadata, ...named });
    }
    if (items.length > ITEMS_MAX)
      throw invalid(origin, 'seeds', `expected at most ${ITEMS_MAX} images in a run, found more`);
  }
  return items;
}

function checkSize({ width, height, origin }: PromptRecord, { name, size }: ItemOptions['pack']): void {
  for (const [field, found, expected] of [
    ['width', width, size.width],
    ['height', height, size.height],
  ] as const) {
    if (found !== undefined && found !== expected) {
      throw invalid(origin, field, `expected ${expected}, the size of pack ${name}, found ${found}`);
    }
  }
}
