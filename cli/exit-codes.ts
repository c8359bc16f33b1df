/**
 * @file Exit codes of the command line, derived from the table of error codes.
 */
import { isRefereeError } from '../errors.ts';

export const EXIT = { ok: 0, unexpected: 1, usage: 2, interrupted: 130, terminated: 143, pipeClosed: 141 } as const;

/** 128 + 15 instead of 128 + 2 when it was SIGTERM that interrupted. */
export function exitCodeOf(error: unknown): number {
  if (!isRefereeError(error)) return EXIT.unexpected;
  return error.details['signal'] === 'SIGTERM' ? EXIT.terminated : error.exit;
}
