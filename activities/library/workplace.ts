/**
 * @file Models found, store checked, tokenizers open: what resolving and searching items needs. Whatever is heavy is
 * loaded here and in `searches.ts`, when the first call needs it.
 */
import { openPack } from '../../models/packs/resolve.ts';
import type { ObjectStore } from '../../store/object-store.ts';
import { itemsOf } from '../items.ts';
import { parseRecord } from '../records.ts';
import type { RunItemRequest } from '../run-contract.ts';
import type { SpecContext } from '../specs.ts';
import { packDefaults, resolveItem } from '../specs.ts';
import type { ItemSpec } from '../specs.ts';

export interface Workplace extends SpecContext {
  readonly store: ObjectStore;
}

/** @throws RefereeError for a pack that is not there or not whole, and for a store that cannot be written */
export async function openWorkplace(packName: string, store: ObjectStore): Promise<Workplace> {
  const pack = await openPack(packName);
  await store.check();
  const { PromptTokenizer } = await import('../prompts.ts');
  return { pack, store, tokenizer: await PromptTokenizer.open(pack), defaults: packDefaults(pack) };
}

/** The requests of one record, one per seed. @throws RefereeError InvalidInput that names the field */
export function requestsOf(
  data: unknown,
  { pack }: Workplace,
  overrides: Readonly<Record<string, unknown>> = {},
): RunItemRequest[] {
  const record = parseRecord(typeof data === 'string' ? { prompt: data } : data);
  return itemsOf([record], { seeds: [0], overrides, pack: pack.manifest });
}

/** @throws RefereeError InvalidInput or InvalidOption that names the field */
export function specOf(request: RunItemRequest, workplace: Workplace): ItemSpec {
  return resolveItem(request, workplace);
}

/** What people should know of a prompt that is cut. */
export function notesOn({ tokens }: ItemSpec): string[] {
  return tokens.cuts.map((cut) => `the prompt is too long: ${cut}`);
}
