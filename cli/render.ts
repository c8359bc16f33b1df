/**
 * @file The same data for people and for programs: errors as one line and a hint, or as one JSON document.
 */
import { inspect } from 'node:util';

import { RefereeError, isRefereeError } from '../errors.ts';

/** Of every document and event that is printed with --json. */
export const JSON_VERSION = 1;

export interface Output {
  readonly stdout: Pick<NodeJS.WriteStream, 'write'>;
  readonly stderr: Pick<NodeJS.WriteStream, 'write'>;
}

/** People read stderr; with --json the error is the (last) document of stdout. A stack is shown for bugs alone. */
export function renderError(error: unknown, json: boolean, { stdout, stderr }: Output): void {
  const known = asRefereeError(error);
  if (json) stdout.write(`${JSON.stringify(errorDocument(known))}\n`);
  else
    stderr.write(
      `error: ${oneLine(known.message)}\n${known.hint === undefined ? '' : `hint: ${oneLine(known.hint)}\n`}`,
    );
  if (known.code === 'Internal') stderr.write(`${inspect(error)}\n`);
}

/** Thrown by a command whose one document on stdout already says what went wrong: people hear it on stderr. */
export class ReportedError extends Error {
  readonly error: RefereeError;

  constructor(error: RefereeError) {
    super(error.message);
    this.error = error;
  }
}

export function errorDocument(error: unknown): Record<string, unknown> {
  const { code, message, hint, details } = asRefereeError(error);
  return {
    v: JSON_VERSION,
    error: { code, message: oneLine(message), ...(hint !== undefined && { hint }), ...details },
  };
}

/** Whatever was thrown: what is not ours is a bug. */
export function asRefereeError(error: unknown): RefereeError {
  if (isRefereeError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new RefereeError('Internal', message, { cause: error });
}

/** Control characters of a message, such as those of a file's name, must not reach the terminal. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').replaceAll(/\p{Cc}/gu, '\uFFFD');
}

/** A word as a POSIX shell reads it back. */
export function shellQuoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
