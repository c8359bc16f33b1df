/**
 * @file What attempts at an item tell: one object per attempt, JSON lines, ids and numbers and never a prompt. An attempt
 * writes its own object whole every time, so that two attempts at one item never meet, and none can tear the other's lines.
 */
import { randomBytes } from 'node:crypto';

import { z } from 'zod';

import { sha256 } from './ids.ts';
import { logKey } from './layout.ts';
import type { AttemptId, ItemId, ObjectKey, RunId } from './layout.ts';
import { getUnlessDamaged } from './object-store.ts';
import type { ObjectStore } from './object-store.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * - `start`, `resume`: the search begins, or goes on after `step` steps
 * - `passed-over`: a checkpoint that is damaged was not used
 * - `checkpoint`: `step` steps are in the store
 * - `leave`: saved, to go on later or elsewhere; `reason` says why
 * - `given-up`: the server had given this attempt up; nothing more of it is used
 * - `error`: the attempt ended by an error that another one may not meet
 * - `failed`: the item has failed; `done`: its picture is published
 */
export const LOG_EVENTS = [
  'start',
  'resume',
  'passed-over',
  'checkpoint',
  'leave',
  'given-up',
  'error',
  'failed',
  'done',
] as const;
export type LogEvent = (typeof LOG_EVENTS)[number];

/** After them an attempt says nothing more. */
export const LAST_EVENTS: ReadonlySet<LogEvent> = new Set<LogEvent>(['leave', 'given-up', 'error', 'failed', 'done']);

export const logLineSchema = z.object({
  v: z.literal(1),
  time: z.iso.datetime(),
  level: z.enum(LOG_LEVELS),
  run: z.string(),
  item: z.string(),
  /** How many processes have worked on the item, with this one; absent before that is known. */
  attempt: z.int().min(1).optional(),
  worker: z.string().describe('process and host'),
  event: z.enum(LOG_EVENTS),
  step: z.int().min(0).optional().describe('steps done'),
  steps: z.int().min(0).optional().describe('of the whole search'),
  seconds: z.number().min(0).optional().describe('of work, over all attempts'),
  code: z.string().optional().describe('of an error'),
  reason: z.string().optional(),
});

export type LogLine = z.infer<typeof logLineSchema>;

/** A new one; nobody else has it. */
export function newAttemptId(of: { readonly run: RunId; readonly item: ItemId; readonly worker: string }): AttemptId {
  const { run, item, worker } = of;
  const nonce = randomBytes(16).toString('hex');
  return `a${sha256([run, item, worker, nonce].join('\n')).slice(0, 20)}` as AttemptId;
}

export async function writeLog(
  store: ObjectStore,
  of: { readonly run: RunId; readonly item: ItemId; readonly attempt: AttemptId },
  lines: readonly LogLine[],
): Promise<void> {
  await store.put(logKey(of.run, of.item, of.attempt), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

/** Its lines, or what is wrong with it; undefined when it is not there. */
export async function readLog(
  store: ObjectStore,
  key: ObjectKey,
): Promise<readonly LogLine[] | { readonly damage: string } | undefined> {
  const bytes = await getUnlessDamaged(store, key);
  if (bytes === undefined || 'damage' in bytes) return bytes;
  const lines = new TextDecoder().decode(bytes).split('\n').slice(0, -1);
  const parsed = lines.map((line) => logLineSchema.safeParse(jsonOf(line)));
  const bad = parsed.findIndex(({ success }) => !success);
  if (bad >= 0) return { damage: `line ${bad + 1} is no line of a log` };
  return parsed.map(({ data }) => data!);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
