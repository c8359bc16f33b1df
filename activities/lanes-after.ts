/**
 * @file How searches that share a step go on when the models refuse it. Their bytes do not depend on who shares a step, so
 * that fewer at a time end as all would have, and who meets the error alone is whom it belongs to.
 */
import { isRefereeError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

const OF_A_STEP: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['OutOfMemory', 'InvalidModel', 'UnsupportedOperator']);

/**
 * With how many lanes it goes on after an error of the models that `met` items met together: 0 if it was one alone. Half
 * where there was no memory for a step of all; one by one where the step of one of them may be what is refused. Undefined:
 * it would meet everybody again.
 */
export function lanesAfter(error: unknown, met: number): number | undefined {
  if (!isRefereeError(error) || !OF_A_STEP.has(error.code) || met === 0) return undefined;
  if (met === 1) return 0;
  return error.code === 'OutOfMemory' && error.details['during'] !== 'load' ? met >> 1 : 1;
}
