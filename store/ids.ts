/**
 * @file Ids are digests of content, so that the same work has the same name wherever and however often it is submitted.
 * Whatever determines the image is part of an item's id; names of the user's own are not.
 */
import { createHash } from 'node:crypto';

import { RefereeError, quoted } from '../errors.ts';
import { asItemId, asRunId } from './layout.ts';
import type { ItemId, RunId } from './layout.ts';

/** Raised whenever the same inputs begin to give another image: ids change, nothing old is taken for new. */
export const CONTRACT_VERSION = 4;

/** Everything that determines an image, options resolved. */
export interface ItemContent {
  readonly prompt: string;
  readonly seed: number;
  /** Every resolved option, defaults included: also the method and the negative prompt. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly packDigest: string;
}

/** `i` and 20 hexadecimal digits of the SHA-256 of the content's canonical JSON. */
export function itemId(content: ItemContent): ItemId {
  return asItemId(`i${contentDigest(content).slice(0, 20)}`);
}

/** `r` and 12 hexadecimal digits of the SHA-256 over the item ids in their order. */
export function runId(items: readonly ItemId[]): RunId {
  return asRunId(`r${sha256(items.join('\n')).slice(0, 12)}`);
}

/** The whole digest behind an item id; checkpoints and results carry it. */
export function contentDigest({ prompt, seed, options, packDigest }: ItemContent): string {
  return sha256(canonicalJson({ contract: CONTRACT_VERSION, prompt, seed, options, packDigest }));
}

/** SHA-256 in 64 hexadecimal digits. */
export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/**
 * JSON in which equal values have equal text: keys sorted by code units, no spaces, fields that are undefined left out.
 * @throws Internal for what JSON cannot hold: non-finite numbers, functions, bigints, undefined in an array.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  const isScalar = value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
  if (!isScalar) {
    const found = typeof value === 'number' ? value : typeof value;
    throw new RefereeError('Internal', `canonical JSON cannot hold ${quoted(found)}`);
  }
  return JSON.stringify(value);
}
