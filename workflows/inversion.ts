/**
 * @file One item: chunks of its search until it is over. What is done is in the store, so that nothing but the control
 * state and a few counters lives here.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  setHandler,
  setWorkflowOptions,
  workflowInfo,
} from '@temporalio/workflow';

import type { OptimiseChunkResult } from '../activities/contracts.ts';
import { ControlState } from './control.ts';
import { codeOf } from './failure-code.ts';
import type { InversionInput, ItemOutcome } from './messages.ts';
import { controlSignal } from './messages.ts';
import { deviceActivities, ioActivities } from './options.ts';
import { chunkPriority, IDLE_CHUNKS, idleAfter } from './plan.ts';

// With versioned workers an item ends on the code that began it: it lives for minutes, so old workers are soon free. Runs
// and pages live for days and move on to new code, which is the workers' default. A server refuses a behaviour from
// workers without a version, hence the question.
setWorkflowOptions(() => (isVersioned() ? { versioningBehavior: 'PINNED' } : {}), inversion);
export async function inversion(input: InversionInput): Promise<ItemOutcome> {
  const { run, item, index, retryFailed } = input;
  const control = new ControlState(input.control);
  let chunk: CancellationScope | undefined;
  setHandler(controlSignal, (signal) => {
    if (control.take(signal) && control.now) chunk?.cancel();
  });
  const of = { v: 1, run, item, index } as const;
  const claim = await ioActivities(input.tuning).claimItem({ ...of, retryFailed });
  if (claim.state !== 'open') return { state: claim.state, ...(claim.code !== undefined && { code: claim.code }) };

  let { step } = claim;
  let idle = 0;
  try {
    for (;;) {
      await condition(() => !control.paused);
      chunk = new CancellationScope();
      const result = await optimise(chunk, input, step, control);
      if (result === 'paused') continue;
      if (result.ended === 'done') return { state: 'done' };
      if (result.ended === 'failed')
        return { state: 'failed', ...(result.code !== undefined && { code: result.code }) };
      idle = idleAfter(idle, step, result.step);
      step = Math.max(step, result.step);
      if (idle >= IDLE_CHUNKS) throw ApplicationFailure.nonRetryable(`no progress in ${idle} chunks`, 'NoProgress');
    }
  } catch (error) {
    if (isCancellation(error)) throw error;
    const code = codeOf(error);
    await recordFailure(input, code);
    return { state: 'failed', code };
  }
}

function isVersioned(): boolean {
  return (workflowInfo().currentDeploymentVersion?.deploymentName ?? '') !== '';
}

/** One chunk; `paused` when it was stopped to be gone on with later. */
async function optimise(
  scope: CancellationScope,
  input: InversionInput,
  step: number,
  control: ControlState,
): Promise<OptimiseChunkResult | 'paused'> {
  const { run, item, index, chunkSeconds, checkpointEvery, previews } = input;
  const device = deviceActivities({ ...input, priority: chunkPriority(input.priority, step) });
  try {
    return await scope.run(() =>
      device.optimiseChunk({ v: 1, run, item, index, checkpointEvery, previews, seconds: chunkSeconds }),
    );
  } catch (error) {
    // The workflow's own cancellation reaches this scope too; only a chunk that was stopped alone goes on.
    const isAlone = !CancellationScope.current().consideredCancelled;
    if (isCancellation(error) && isAlone && scope.consideredCancelled && control.seq > 0) return 'paused';
    throw error;
  }
}

/** The item's end in the store. Where even that cannot be written, the batch's counts still tell. */
async function recordFailure(input: InversionInput, code: string): Promise<void> {
  const { run, item, index } = input;
  await CancellationScope.nonCancellable(async () => {
    try {
      await deviceActivities({ ...input, tuning: { ...input.tuning, attempts: 3 } }).recordFailure({
        v: 1,
        run,
        item,
        index,
        code,
      });
    } catch (error) {
      if (!(error instanceof ActivityFailure)) throw error;
    }
  });
}
