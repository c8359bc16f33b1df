/**
 * @file A run in the store: what was asked (written once, before any work) and what has come of each item so far.
 * Content-derived ids make every write repeatable: two processes on the same run write the same.
 */
import { z } from 'zod';

import { RefereeError, quoted } from '../errors.ts';
import { sha256 } from './ids.ts';
import {
  PROMPTS_PER_PART,
  checkpointsFolder,
  itemKey,
  manifestKey,
  parseKey,
  previewKey,
  promptsKey,
  runKey,
} from './layout.ts';
import type { ItemFile, ItemId, ObjectKey, RunId } from './layout.ts';
import { getUnlessDamaged } from './object-store.ts';
import type { ObjectStore } from './object-store.ts';
import { parseResult, writeResult } from './result.ts';
import type { Result } from './result.ts';

export const RUN_VERSION = 1;

export const runRecordSchema = z.object({
  v: z.literal(RUN_VERSION),
  run: z.string(),
  items: z.int().min(1),
  pack: z.object({ name: z.string(), version: z.string(), digest: z.string() }),
  /** Of the process that created the run: referee, node, onnxruntime. */
  versions: z.record(z.string(), z.string()),
});

/** `run.json` */
export type RunRecord = z.infer<typeof runRecordSchema>;

export const promptRowSchema = z.object({
  index: z.int().min(0),
  item: z.string(),
  prompt: z.string(),
  seed: z.int().min(0),
  id: z.string().optional(),
  /** Options of the method that differ from the pack's defaults. */
  overrides: z.record(z.string(), z.unknown()).optional(),
  tags: z.array(z.string()).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

/** A line of `prompts/part-*.jsonl`: one item of the run, in the order of the input. */
export type PromptRow = z.infer<typeof promptRowSchema>;

export interface NewRun {
  readonly run: RunId;
  readonly record: RunRecord;
  readonly prompts: readonly PromptRow[];
}

/**
 * Writes what was asked, unless it is there already. `run.json` comes last: where it is, the prompts are.
 * @throws InvalidStore when the run is there with another pack, which only a changed or damaged file can cause
 */
export async function createRun(store: ObjectStore, { run, record, prompts }: NewRun): Promise<'written' | 'exists'> {
  const existing = await readRun(store, run);
  if (existing) return confirmed(existing, record, store.locate(runKey(run)));
  for (let part = 0; part * PROMPTS_PER_PART < prompts.length; part++) {
    const page = prompts.slice(part * PROMPTS_PER_PART, (part + 1) * PROMPTS_PER_PART);
    await store.put(promptsKey(run, part), page.map((row) => `${JSON.stringify(row)}\n`).join(''), { once: true });
  }
  const written = await store.put(runKey(run), `${JSON.stringify(record, undefined, 2)}\n`, { once: true });
  if (written === 'written') return written;
  return confirmed((await readRun(store, run)) ?? record, record, store.locate(runKey(run)));
}

function confirmed(found: RunRecord, expected: RunRecord, file: string): 'exists' {
  if (found.pack.digest === expected.pack.digest && found.items === expected.items) return 'exists';
  const digests = `found ${found.pack.digest.slice(0, 12)}, expected ${expected.pack.digest.slice(0, 12)}`;
  throw new RefereeError('InvalidStore', `${file}: is of another pack or other items: pack ${digests}`, {
    details: { file },
  });
}

/** Undefined for a run that is not in the store. */
export async function readRun(store: ObjectStore, run: RunId): Promise<RunRecord | undefined> {
  const text = await readText(store, runKey(run));
  return text === undefined ? undefined : parseLine(runRecordSchema, text, store.locate(runKey(run)));
}

/** The items of a run in the order of the input, a page at a time. */
export async function* readPrompts(store: ObjectStore, run: RunId): AsyncGenerator<PromptRow> {
  for (let part = 0; ; part++) {
    const key = promptsKey(run, part);
    const text = await readText(store, key);
    if (text === undefined) return;
    for (const [i, line] of linesOf(text).entries()) {
      yield parseLine(promptRowSchema, line, `${store.locate(key)}:${i + 1}`);
    }
  }
}

/** Some items of a run in the order of the input, from place `from` (from 0); fewer where the run ends before. */
export async function promptRows(
  store: ObjectStore,
  run: RunId,
  { from, count }: { readonly from: number; readonly count: number },
): Promise<PromptRow[]> {
  const rows: PromptRow[] = [];
  const end = from + count;
  for (let part = Math.floor(from / PROMPTS_PER_PART); part * PROMPTS_PER_PART < end; part++) {
    const key = promptsKey(run, part);
    const text = await readText(store, key);
    if (text === undefined) break;
    const lines = linesOf(text);
    const first = Math.max(0, from - part * PROMPTS_PER_PART);
    const last = Math.min(lines.length, end - part * PROMPTS_PER_PART);
    for (let i = first; i < last; i++) {
      rows.push(parseLine(promptRowSchema, lines[i]!, `${store.locate(key)}:${i + 1}`));
    }
  }
  return rows;
}

/** The resolved spec of an item, as the search got it. Written once. */
export async function writeSpec(store: ObjectStore, run: RunId, item: ItemId, spec: unknown): Promise<void> {
  await store.put(itemKey(run, item, 'spec.json'), `${JSON.stringify(spec, undefined, 2)}\n`, { once: true });
}

/** One line per step, all steps so far; written whole, at the same moments as checkpoints. */
export async function writeTrace(
  store: ObjectStore,
  of: { readonly run: RunId; readonly item: ItemId },
  rows: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  await store.put(itemKey(of.run, of.item, 'trace.jsonl'), text);
}

/** The trace's rows, empty when there is none. */
export async function readTrace(store: ObjectStore, run: RunId, item: ItemId): Promise<Record<string, unknown>[]> {
  const key = itemKey(run, item, 'trace.jsonl');
  const row = z.record(z.string(), z.unknown());
  const text = (await readText(store, key)) ?? '';
  return linesOf(text).map((line, i) => parseLine(row, line, `${store.locate(key)}:${i + 1}`));
}

export async function writePreview(
  store: ObjectStore,
  of: { readonly run: RunId; readonly item: ItemId; readonly step: number },
  webp: Uint8Array,
): Promise<ObjectKey> {
  const key = previewKey(of.run, of.item, of.step);
  await store.put(key, webp);
  return key;
}

/**
 * Image first, result last: where a succeeded result is, its image is. The first of several writers wins, and all are told
 * its result; only a failure that was recorded, or a result whose image is damaged, gives way to a later one.
 */
export async function publish(
  store: ObjectStore,
  of: { readonly run: RunId; readonly item: ItemId; readonly result: Result },
  image?: Uint8Array,
): Promise<Result> {
  const { run, item, result } = of;
  const earlier = await publishedResult(store, run, item);
  if (earlier) return earlier;
  if (image) await store.put(itemKey(run, item, 'image.png'), image);
  const key = itemKey(run, item, 'result.json');
  const text = writeResult(result);
  if ((await store.put(key, text, { once: true })) === 'written') return result;
  const winner = await publishedResult(store, run, item);
  if (winner) return winner;
  await store.put(key, text);
  return result;
}

/** A succeeded result whose image is whole. */
async function publishedResult(store: ObjectStore, run: RunId, item: ItemId): Promise<Result | undefined> {
  const result = await readResult(store, run, item);
  if (result?.digests.image === undefined) return undefined;
  const image = await store.get(itemKey(run, item, 'image.png'));
  return image && sha256(image) === result.digests.image ? result : undefined;
}

/** @throws InvalidStore for a result that is not one */
export async function readResult(store: ObjectStore, run: RunId, item: ItemId): Promise<Result | undefined> {
  const key = itemKey(run, item, 'result.json');
  const text = await readText(store, key);
  return text === undefined ? undefined : parseResult(text, store.locate(key));
}

export type ItemState = 'succeeded' | 'failed' | 'started' | 'missing';

/** `succeeded` only when the image is there with the digest that the result names: whatever is less is done again. */
export async function itemState(store: ObjectStore, run: RunId, item: ItemId): Promise<ItemState> {
  return (await itemStanding(store, run, item)).state;
}

/** The state of an item, with what was read to know it. */
export type ItemStanding =
  | { readonly state: 'succeeded' | 'failed'; readonly result: Result }
  /** `step`: steps that the newest checkpoint holds, by its name. */
  | { readonly state: 'started' | 'missing'; readonly step: number };

export async function itemStanding(store: ObjectStore, run: RunId, item: ItemId): Promise<ItemStanding> {
  const result = await readResult(store, run, item);
  if (result?.state === 'failed') return { state: 'failed', result };
  if (result?.digests.image !== undefined) {
    const image = await getUnlessDamaged(store, itemKey(run, item, 'image.png'));
    if (image instanceof Uint8Array && sha256(image) === result.digests.image) return { state: 'succeeded', result };
  }
  const keys = await store.list(checkpointsFolder(run, item));
  return { state: keys.length > 0 ? 'started' : 'missing', step: newestStep(keys) };
}

/** Steps that the newest checkpoint holds; 0 without one. For estimates: its content is not looked at. */
export async function checkpointSteps(store: ObjectStore, run: RunId, item: ItemId): Promise<number> {
  return newestStep(await store.list(checkpointsFolder(run, item)));
}

function newestStep(keys: readonly ObjectKey[]): number {
  const steps = keys.map((key) => parseKey(key)).map((parsed) => (parsed?.kind === 'checkpoint' ? parsed.step : 0));
  return Math.max(0, ...steps);
}

/** Files that are open at one time while many items are looked at. */
const OPEN_FILES = 32;

/** The state of each, a bounded number at a time: a run can have more items than a process may have open files. */
export async function itemStates(store: ObjectStore, run: RunId, items: readonly ItemId[]): Promise<ItemState[]> {
  const states: ItemState[] = [];
  for (let start = 0; start < items.length; start += OPEN_FILES) {
    const some = items.slice(start, start + OPEN_FILES);
    states.push(...(await Promise.all(some.map((item) => itemState(store, run, item)))));
  }
  return states;
}

/**
 * `manifest.jsonl`: the results so far, in the order of the input, whatever the order of completion. `onProgress` hears how
 * many items were looked at.
 * @returns how many have a result
 */
export async function writeManifest(
  store: ObjectStore,
  run: RunId,
  items: readonly ItemId[],
  onProgress?: (items: number) => void,
): Promise<number> {
  const lines: string[] = [];
  for (let start = 0; start < items.length; start += OPEN_FILES) {
    const some = items.slice(start, start + OPEN_FILES);
    const results = await Promise.all(some.map((item) => readResult(store, run, item)));
    lines.push(...results.flatMap((result) => (result ? [writeResult(result)] : [])));
    onProgress?.(start + some.length);
  }
  await store.put(manifestKey(run), lines.join(''));
  return lines.length;
}

/** Text of one file of an item, undefined when it is not there. */
export function readItemText(
  store: ObjectStore,
  of: { run: RunId; item: ItemId },
  file: ItemFile,
): Promise<string | undefined> {
  return readText(store, itemKey(of.run, of.item, file));
}

async function readText(store: ObjectStore, key: ObjectKey): Promise<string | undefined> {
  const bytes = await store.get(key);
  return bytes && new TextDecoder().decode(bytes);
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function parseLine<T>(schema: z.ZodType<T>, text: string, where: string): T {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new RefereeError('InvalidStore', `${where}: not JSON: ${quoted(text)}`, { cause, details: { file: where } });
  }
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RefereeError('InvalidStore', `${where}: "${issue.path.join('.')}": ${issue.message}`, {
    details: { file: where },
  });
}
