/**
 * @file Errors as Temporal sees them: type = code, retried or not by the table of codes. Messages of foreseen errors may
 * quote what a user wrote; a history is no place for it, so that only the code, its general hint and numbers go there.
 */
import { ApplicationFailure } from '@temporalio/common';

import { ERROR_CODES, isRefereeError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/** Where an error happened; ids only. */
export interface FailurePlace {
  readonly run?: string;
  readonly item?: string;
}

/**
 * Codes whose cause may be this worker or this moment, beside those that the table calls retryable. A store that is full
 * or refuses us can be put right while a batch waits.
 */
const RETRIED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['Internal', 'StoreFull', 'InvalidStore']);
/** What an error says about an object or a record that is wrong as it is: every attempt would find it so. */
const CONTENT = ['item', 'file', 'damage'] as const;

/** Errors that are none of ours (bugs, the system's) are retried: another worker may not meet them. */
export function isRetried(error: unknown): boolean {
  if (!isRefereeError(error)) return true;
  const { code, details } = error;
  const isContent = code === 'InvalidStore' && CONTENT.some((name) => details[name] !== undefined);
  return !isContent && (ERROR_CODES[code].retryable || RETRIED.has(code));
}

/** Of an error of an activity. Everything but its code stays out of the history. */
export function toFailure(error: unknown, place: FailurePlace): ApplicationFailure {
  const code: ErrorCode = isRefereeError(error) ? error.code : 'Internal';
  const where = place.item === undefined ? (place.run ?? 'the worker') : `item ${place.item}`;
  return ApplicationFailure.create({
    type: code,
    message: `${code} at ${where}; the worker's log has the details`,
    nonRetryable: !isRetried(error),
    details: [place],
  });
}
