/**
 * @file What was asked for and cannot be searched: the line, the reason. A list of them stands beside the run, so that
 * a prompt that is left out is a reported one.
 */
import type { RefereeError } from '../errors.ts';
import { rejectedKey } from '../store/layout.ts';
import type { RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { RunItemRequest } from './run-contract.ts';

/** `fail`: the first invalid line ends the command before any work. `skip`: the others are searched. */
export type OnInvalid = 'fail' | 'skip';

/** A line of `rejected.jsonl`. */
export interface Rejection {
  readonly state: 'rejected';
  readonly code: string;
  readonly message: string;
  readonly file?: string;
  readonly line?: number;
  readonly id?: string;
  readonly prompt?: string;
  readonly seed?: number;
}

/** Why a line, or one picture of it, cannot be searched. */
export function rejection({ code, message, details }: RefereeError, request?: RunItemRequest): Rejection {
  const { file, line } = details;
  return {
    state: 'rejected',
    code,
    message,
    ...(file !== undefined && { file: String(file) }),
    ...(typeof line === 'number' && { line }),
    ...(request && {
      ...(request.id !== undefined && { id: request.id }),
      prompt: request.prompt,
      seed: request.seed,
    }),
  };
}

/** Writes the list where there is something to list. */
export async function writeRejections(store: ObjectStore, run: RunId, rejected: readonly Rejection[]): Promise<void> {
  if (rejected.length === 0) return;
  await store.put(rejectedKey(run), rejected.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

export async function readRejections(store: ObjectStore, run: RunId): Promise<Rejection[]> {
  const bytes = await store.get(rejectedKey(run));
  const lines = bytes ? new TextDecoder().decode(bytes).split('\n') : [];
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Rejection);
}
