/**
 * @file Why an attempt is told to stop, and what follows. Kept apart from the search as a table, so that every row can be
 * tested.
 */

/** What Temporal says with an abort; of several flags the strongest counts. */
export interface AbortDetails {
  readonly notFound: boolean;
  readonly timedOut: boolean;
  readonly cancelRequested: boolean;
  readonly paused: boolean;
  readonly reset: boolean;
  readonly workerShutdown: boolean;
}

/**
 * - `ghost`: the server has given this attempt up and another may be running. Stop at once, write nothing, delete nothing.
 * - `cancel`: the workflow wants it to stop: save, then report the cancellation.
 * - `operator`: somebody paused or reset the activity by hand: save, then report a failure, which the server holds or
 *   resets. A short chunk would make the workflow schedule a new activity that is not paused.
 * - `drain`: the process is going away: save, then return a short chunk.
 */
export type AbortReason = 'ghost' | 'cancel' | 'operator' | 'drain';

/** Without details (a server that gives none) the workflow is taken to have cancelled: saving is right in any case. */
export function classifyAbort(details: AbortDetails | undefined): AbortReason {
  if (details?.notFound === true || details?.timedOut === true) return 'ghost';
  if (details?.cancelRequested === true) return 'cancel';
  if (details?.paused === true || details?.reset === true) return 'operator';
  return details?.workerShutdown === true ? 'drain' : 'cancel';
}
