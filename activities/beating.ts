/**
 * @file Heartbeats around work that has no steps to tell of: a worker that dies in the middle of it is noticed within the
 * heartbeat's timeout instead of the whole time that the work may take.
 */
import { Context } from '@temporalio/activity';

import { Beats } from './beats.ts';

/** Within an activity. Tells the server on a timer that `work` goes on. */
export async function beating<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  using _beats = new Beats({
    beat: (details) => context.heartbeat(details),
    timeoutMs: context.info.heartbeatTimeoutMs ?? 0,
  });
  return await work();
}
