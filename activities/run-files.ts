/**
 * @file What is written about a run before it begins: `run.json` with its prompts, and `spec.json` of every item.
 */
import { overridesOf } from '../inversion/options.ts';
import type { MethodOptions } from '../inversion/options.ts';
import type { Pack } from '../models/packs/resolve.ts';
import type { PromptRow, RunRecord } from '../store/run.ts';
import { RUN_VERSION } from '../store/run.ts';
import type { RunId } from '../store/layout.ts';
import type { DescribedItem } from './specs.ts';
import { versions } from './versions.ts';

export function runRecord(run: RunId, items: number, { manifest, digest }: Pack): RunRecord {
  const { name, version } = manifest;
  return { v: RUN_VERSION, run, items, pack: { name, version, digest }, versions: { ...versions() } };
}

/** A line of the prompts: enough to resolve the item again with the pack's `defaults`. */
export function promptRow(
  { index, item, prompt, seed, id, options, tags, metadata }: DescribedItem,
  defaults: MethodOptions,
): PromptRow {
  const overrides = overridesOf(options, defaults);
  return {
    ...{ index, item, prompt, seed },
    ...(id !== undefined && { id }),
    ...(Object.keys(overrides).length > 0 && { overrides }),
    ...(tags.length > 0 && { tags: [...tags] }),
    ...(Object.keys(metadata).length > 0 && { metadata: { ...metadata } }),
  };
}

/** `spec.json`: what `referee` was asked for, resolved; enough to do it again. */
export function specFile(
  { item, digest, index, prompt, seed, options, id, tags, metadata }: DescribedItem,
  { manifest, digest: packDigest }: Pack,
): object {
  const pack = { name: manifest.name, version: manifest.version, digest: packDigest };
  return { v: 1, item, digest, index, ...(id !== undefined && { id }), prompt, seed, options, pack, tags, metadata };
}
