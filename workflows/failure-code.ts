/**
 * @file What a failure comes to in one word, for results and counts.
 */
import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure, TimeoutFailure } from '@temporalio/workflow';

/** Type of the innermost failure of an activity or a child; `WorkerLost` where every attempt died or hung. */
export function codeOf(error: unknown): string {
  let cause = error;
  while ((cause instanceof ActivityFailure || cause instanceof ChildWorkflowFailure) && cause.cause)
    cause = cause.cause;
  if (cause instanceof ApplicationFailure) return cause.type ?? 'Internal';
  return cause instanceof TimeoutFailure ? 'WorkerLost' : 'Internal';
}
