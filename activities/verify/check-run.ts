/**
 * @file A run looked at whole, without searching anything: every name below it, every object, every digest. What is read is
 * let go at once; a few dozen bytes an item stay.
 */
import { quoted, RefereeError } from '../../errors.ts';
import { isFolder, itemFolder, itemsFolder, parseKey, promptsFolder, runFolder, runKey } from '../../store/layout.ts';
import type { ItemId, ObjectKey } from '../../store/layout.ts';
import { runRecordSchema } from '../../store/run.ts';
import type { RunRecord } from '../../store/run.ts';
import { forEachOf } from '../pool.ts';
import { ItemCheck } from './check-item.ts';
import type { ItemFiles } from './check-item.ts';
import { checkManifest } from './check-manifest.ts';
import { checkPrompts } from './check-prompts.ts';
import { jsonOf, linesFault, pngFault, textOf } from './formats.ts';
import type { VerifyPlace } from './place.ts';
import type { RunItems } from './run-items.ts';

/** Items that are looked at at the same time: enough to keep a bucket busy, few enough for the memory. */
const AT_ONCE = 32;

export interface CheckedRun {
  readonly record: RunRecord | undefined;
  readonly items: RunItems;
}

/** @throws RefereeError NotFound when nothing of the run is in the store, Interrupted by the signal */
export async function checkRun(place: VerifyPlace): Promise<CheckedRun> {
  const { store, run, counts, listeners } = place;
  const parts = await promptParts(place);
  const isRecorded = (await store.head(runKey(run))) !== undefined;
  if (!isRecorded && parts === 0) {
    throw new RefereeError('NotFound', `run ${run} is not in the store ${store.root}`, {
      hint: '--store names another store',
      details: { run },
    });
  }
  const record = await readRecord(place);
  const items = await checkPrompts(place, record, parts);
  counts.items = items.size;
  let looked = 0;
  await forEachOf(found(place, items), AT_ONCE, async (each) => {
    place.throwIfInterrupted();
    if ('name' in each) return checkOther(place, each.name, items);
    await new ItemCheck({ place, items, record, files: each }).run();
    listeners.onProgress(++looked, items.size);
  });
  await checkManifest(place, items);
  return { record, items };
}

/** Pages by their names; a page that is missing among them counts. */
async function promptParts({ store, run }: VerifyPlace): Promise<number> {
  let parts = 0;
  for (const key of await store.list(promptsFolder(run))) {
    const parsed = parseKey(key);
    if (parsed?.kind === 'prompts') parts = Math.max(parts, parsed.part + 1);
  }
  return parts;
}

async function readRecord(place: VerifyPlace): Promise<RunRecord | undefined> {
  const { run } = place;
  let record: RunRecord | undefined;
  await place.checked(runKey(run), (bytes) => {
    const parsed = runRecordSchema.safeParse(jsonOf(textOf(bytes) ?? ''));
    if (!parsed.success) return `not the record of a run: "${parsed.error.issues[0]!.path.join('.')}"`;
    if (parsed.data.run !== run) return `is of run ${quoted(parsed.data.run)}`;
    record = parsed.data;
    return undefined;
  });
  return record;
}

/** Items of the run with their files, and every other name, in the order of names. */
async function* found(place: VerifyPlace, items: RunItems): AsyncGenerator<ItemFiles | { readonly name: string }> {
  const { run, store } = place;
  if (!store.names)
    throw new RefereeError('InvalidStore', `store ${store.root}: cannot tell every name below a folder`);
  let now: { item: ItemId; index: number | undefined; keys: ObjectKey[] } | undefined;
  for await (const name of store.names(runFolder(run))) {
    const item = itemOf(name, itemsFolder(run));
    if (item !== now?.item) {
      if (now?.index !== undefined) yield { item: now.item, index: now.index, keys: now.keys };
      now = item && { item, index: items.indexOf(item), keys: [] };
      if (now && now.index === undefined) place.fault(itemFolder(run, now.item), 'is no item of the run');
    }
    if (now && now.index === undefined) continue; // said of its folder
    if (now === undefined || parseKey(name) === undefined) yield { name };
    else now.keys.push(name as ObjectKey);
  }
  if (now?.index !== undefined) yield { item: now.item, index: now.index, keys: now.keys };
}

function itemOf(name: string, folder: string): ItemId | undefined {
  if (!name.startsWith(folder)) return undefined;
  return /^([a-z0-9-]{1,64})\//.exec(name.slice(folder.length))?.[1] as ItemId | undefined;
}

/** An empty folder where one may be is left by a process that ended before its first write into it. */
function foreign(place: VerifyPlace, name: string): void {
  if (name.endsWith('/') && isFolder(name)) return;
  const isHalf = /(^|\/)\.tmp-[^/]*$/.test(name);
  place.fault(name, isHalf ? 'is half a write, left by a process that died' : 'is no file of a run');
}

/** Names of no item, and what is no key. Prompts, `run.json` and the manifest are looked at by themselves. */
async function checkOther(place: VerifyPlace, name: string, items: RunItems): Promise<void> {
  const parsed = parseKey(name);
  switch (parsed?.kind) {
    case undefined:
      foreign(place, name);
      break;
    case 'log':
      if (items.indexOf(parsed.item) === undefined) place.fault(name, 'is the log of no item of the run');
      else await place.checked(name as ObjectKey, (bytes) => linesFault(bytes));
      break;
    case 'rejected':
      await place.checked(name as ObjectKey, (bytes) => linesFault(bytes));
      break;
    case 'contact-sheet':
      await place.checked(name as ObjectKey, pngFault);
      break;
    default:
      break;
  }
}
