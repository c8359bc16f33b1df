/**
 * @file What a check has found, as people and programs read it.
 */
import type { ErrorCode, RefereeError } from '../../errors.ts';
import { isRefereeError } from '../../errors.ts';

export type FindingState = 'ok' | 'warning' | 'error';

export interface Finding {
  /** Of the check; stable. */
  readonly name: string;
  readonly state: FindingState;
  /** One line. */
  readonly found: string;
  /** What to do about it, one line. */
  readonly fix?: string;
  /** Of the error that a command would have ended with. */
  readonly code?: ErrorCode;
  /** The same as numbers and words, for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** The worst of several. */
export function worstState(findings: readonly Finding[]): FindingState {
  const states = findings.map(({ state }) => state);
  return states.includes('error') ? 'error' : states.includes('warning') ? 'warning' : 'ok';
}

/** What was thrown as a finding; bugs go through. */
export function failedFinding(
  name: string,
  error: unknown,
  { state = 'error', fix }: { readonly state?: FindingState; readonly fix?: string | undefined } = {},
): Finding {
  const known = asKnown(error);
  const advice = fix ?? known.hint;
  return { name, state, found: known.message, code: known.code, ...(advice !== undefined && { fix: advice }) };
}

function asKnown(error: unknown): RefereeError {
  if (isRefereeError(error) && error.code !== 'Internal') return error;
  throw error;
}

/** 1.2 GB, 340 MB */
export function bytesText(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.ceil(bytes / 1e6)} MB`;
}

/** 2.3 s, 41 ms */
export function secondsText(seconds: number): string {
  return seconds >= 1 ? `${seconds.toPrecision(3)} s` : `${(1000 * seconds).toPrecision(2)} ms`;
}
