/**
 * @file Every key of the store, built and parsed here only.
 * Nothing that a user wrote is ever part of a key: ids are digests of content, names of the user's own live inside files.
 */
import { RefereeError, quoted } from '../errors.ts';

declare const brand: unique symbol;
export type RunId = string & { readonly [brand]: 'RunId' };
export type ItemId = string & { readonly [brand]: 'ItemId' };
/** One attempt at an item: a digest, so that two attempts never write the same log. */
export type AttemptId = string & { readonly [brand]: 'AttemptId' };
export type ObjectKey = string & { readonly [brand]: 'ObjectKey' };

const ID = /^[a-z0-9-]{1,64}$/;
const STEP_DIGITS = 6;
const PART_DIGITS = 5;

/** Prompts in one page of `prompts/`. Part of the format: never change it for an existing run. */
export const PROMPTS_PER_PART = 1000;

/** @throws InvalidInput unless it consists of 1 to 64 of a-z, 0-9 and '-' */
export function asRunId(text: string): RunId {
  return checked(text, 'run id') as RunId;
}

/** @throws InvalidInput unless it consists of 1 to 64 of a-z, 0-9 and '-' */
export function asItemId(text: string): ItemId {
  return checked(text, 'item id') as ItemId;
}

export function runFolder(run: RunId): string {
  return `${asRunId(run)}/`;
}

export function runKey(run: RunId): ObjectKey {
  return key(runFolder(run), 'run.json');
}

export function promptsFolder(run: RunId): string {
  return `${runFolder(run)}prompts/`;
}

/** Page `part` (from 0) of the prompts. */
export function promptsKey(run: RunId, part: number): ObjectKey {
  return key(promptsFolder(run), `part-${padded(part, PART_DIGITS)}.jsonl`);
}

export function manifestKey(run: RunId): ObjectKey {
  return key(runFolder(run), 'manifest.jsonl');
}

/** What was asked for and could not be searched. */
export function rejectedKey(run: RunId): ObjectKey {
  return key(runFolder(run), 'rejected.jsonl');
}

export function contactSheetKey(run: RunId): ObjectKey {
  return key(runFolder(run), 'contact-sheet.png');
}

export function itemsFolder(run: RunId): string {
  return `${runFolder(run)}items/`;
}

export function itemFolder(run: RunId, item: ItemId): string {
  return `${itemsFolder(run)}${asItemId(item)}/`;
}

export type ItemFile = 'spec.json' | 'result.json' | 'trace.jsonl' | 'image.png';

export function itemKey(run: RunId, item: ItemId, file: ItemFile): ObjectKey {
  return key(itemFolder(run, item), file);
}

export function checkpointsFolder(run: RunId, item: ItemId): string {
  return `${itemFolder(run, item)}checkpoints/`;
}

/** `step` = steps done, 0 .. 999999. */
export function checkpointKey(run: RunId, item: ItemId, step: number): ObjectKey {
  return key(checkpointsFolder(run, item), `step-${padded(step, STEP_DIGITS)}.safetensors`);
}

export function previewsFolder(run: RunId, item: ItemId): string {
  return `${itemFolder(run, item)}previews/`;
}

export function previewKey(run: RunId, item: ItemId, step: number): ObjectKey {
  return key(previewsFolder(run, item), `step-${padded(step, STEP_DIGITS)}.webp`);
}

/** Logs of a run, a folder per item. Beside the items, so that listing the logs does not list every picture. */
export function logsFolder(run: RunId, item?: ItemId): string {
  return `${runFolder(run)}logs/${item === undefined ? '' : `${asItemId(item)}/`}`;
}

export function logKey(run: RunId, item: ItemId, attempt: AttemptId): ObjectKey {
  return key(logsFolder(run, item), `${checked(attempt, 'attempt id')}.jsonl`);
}

/** What a key stands for. */
export type ParsedKey =
  | { readonly kind: 'run' | 'manifest' | 'contact-sheet' | 'rejected'; readonly run: RunId }
  | { readonly kind: 'prompts'; readonly run: RunId; readonly part: number }
  | { readonly kind: 'item'; readonly run: RunId; readonly item: ItemId; readonly file: ItemFile }
  | { readonly kind: 'checkpoint' | 'preview'; readonly run: RunId; readonly item: ItemId; readonly step: number }
  | { readonly kind: 'log'; readonly run: RunId; readonly item: ItemId; readonly attempt: AttemptId };

const RUN_FILE = /^([a-z0-9-]{1,64})\/(run\.json|manifest\.jsonl|rejected\.jsonl|contact-sheet\.png)$/;
const PROMPTS_FILE = /^([a-z0-9-]{1,64})\/prompts\/part-(\d{5})\.jsonl$/;
const ITEM_FILE = /^([a-z0-9-]{1,64})\/items\/([a-z0-9-]{1,64})\/(spec\.json|result\.json|trace\.jsonl|image\.png)$/;
const STEP_FILE =
  /^([a-z0-9-]{1,64})\/items\/([a-z0-9-]{1,64})\/(?:(checkpoints)\/step-(\d{6})\.safetensors|previews\/step-(\d{6})\.webp)$/;

const LOG_FILE = /^([a-z0-9-]{1,64})\/logs\/([a-z0-9-]{1,64})\/([a-z0-9-]{1,64})\.jsonl$/;

const RUN_FILE_KINDS: Readonly<Record<string, 'run' | 'manifest' | 'contact-sheet' | 'rejected'>> = {
  'run.json': 'run',
  'manifest.jsonl': 'manifest',
  'rejected.jsonl': 'rejected',
  'contact-sheet.png': 'contact-sheet',
};

/** The inverse of the functions above; undefined for anything that they do not make. */
export function parseKey(text: string): ParsedKey | undefined {
  const ofRun = RUN_FILE.exec(text);
  if (ofRun) return { kind: RUN_FILE_KINDS[ofRun[2]!]!, run: ofRun[1] as RunId };
  const page = PROMPTS_FILE.exec(text);
  if (page) return { kind: 'prompts', run: page[1] as RunId, part: Number(page[2]) };
  const ofItem = ITEM_FILE.exec(text);
  if (ofItem) return { kind: 'item', run: ofItem[1] as RunId, item: ofItem[2] as ItemId, file: ofItem[3] as ItemFile };
  const log = LOG_FILE.exec(text);
  if (log) return { kind: 'log', run: log[1] as RunId, item: log[2] as ItemId, attempt: log[3] as AttemptId };
  const ofStep = STEP_FILE.exec(text);
  if (!ofStep) return undefined;
  const [, run, item, isCheckpoint, checkpointStep, previewStep] = ofStep;
  const kind = isCheckpoint === undefined ? 'preview' : 'checkpoint';
  return { kind, run: run as RunId, item: item as ItemId, step: Number(checkpointStep ?? previewStep) };
}

const FOLDER =
  /^(?:[a-z0-9-]{1,64}\/(?:prompts\/|logs\/(?:[a-z0-9-]{1,64}\/)?|items\/(?:[a-z0-9-]{1,64}\/(?:checkpoints\/|previews\/)?)?)?)?$/;

/** Whether one of the functions above makes such a prefix; empty stands for the whole store. */
export function isFolder(prefix: string): boolean {
  return FOLDER.test(prefix);
}

/** @throws Internal for a prefix that none of the functions above makes */
export function checkFolder(prefix: string): void {
  if (!isFolder(prefix)) throw new RefereeError('Internal', `not a folder of the store: ${quoted(prefix)}`);
}

function key(folder: string, file: string): ObjectKey {
  return `${folder}${file}` as ObjectKey;
}

function checked(text: string, what: string): string {
  if (ID.test(text)) return text;
  throw new RefereeError('InvalidInput', `${what} must be 1 to 64 of a-z, 0-9 and "-", found ${quoted(text)}`);
}

function padded(value: number, digits: number): string {
  if (!Number.isInteger(value) || value < 0 || value >= 10 ** digits) {
    throw new RefereeError('Internal', `number in a key must be a whole number below 1e${digits}, found ${value}`);
  }
  return String(value).padStart(digits, '0');
}
