/**
 * @file How activities are called: queues, timeouts, retries, each with its reason.
 */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { RetryPolicy } from '@temporalio/workflow';

import type { DeviceActivities, IoActivities } from '../activities/contracts.ts';
import { IO_QUEUE } from './ids.ts';
import type { Tuning } from './messages.ts';

/**
 * A worker beats at every step and on a timer; a minute of silence is a dead worker. Beats reach the server every 20 s at
 * most (a setting of the worker), so that a cancelled item hears of it within 20 s and a blocked loop has 40 s of slack.
 */
const HEARTBEAT_SECONDS = 60;
/** An attempt that neither ends nor dies: three chunks' time, and this for the slowest step, the upload and the picture. */
const CHUNK_SLACK_SECONDS = 900;
/** Attempts count real faults only (crashes, lost machines): a drain returns a short chunk. */
const CHUNK_ATTEMPTS = 8;
/** The store may be away for longer than a device is broken. */
const IO_ATTEMPTS = 20;
/** Where somebody waits for the end of what was cancelled. */
const SHORT_ATTEMPTS = 5;

function heartbeatMs(tuning: Tuning | undefined): number {
  return (tuning?.heartbeatSeconds ?? HEARTBEAT_SECONDS) * 1000;
}

function retry(maximumAttempts: number, tuning: Tuning | undefined): RetryPolicy {
  const seconds = tuning?.retrySeconds ?? 2;
  return {
    initialInterval: seconds * 1000,
    backoffCoefficient: 2,
    maximumInterval: Math.max(tuning?.longestRetrySeconds ?? 60, seconds) * 1000,
    maximumAttempts,
  };
}

/**
 * Short calls, unless the store is slow or away. They beat: a worker that dies with 50 of them costs those items a minute
 * and not the whole time that a call may take.
 */
export function ioActivities(tuning: Tuning | undefined): IoActivities {
  return proxyActivities<IoActivities>({
    taskQueue: IO_QUEUE,
    startToCloseTimeout: '5 minutes',
    heartbeatTimeout: heartbeatMs(tuning),
    retry: retry(tuning?.ioAttempts ?? IO_ATTEMPTS, tuning),
  });
}

/** The end of a run of 100 000 items reads 100 000 results: minutes, with a beat per batch of them. */
export function finaliseActivities(
  tuning: Tuning | undefined,
  { isShort }: { readonly isShort: boolean },
): Pick<IoActivities, 'finaliseRun'> {
  const attempts = tuning?.ioAttempts ?? IO_ATTEMPTS;
  return proxyActivities<IoActivities>({
    taskQueue: IO_QUEUE,
    startToCloseTimeout: '4 hours',
    heartbeatTimeout: '2 minutes',
    retry: retry(isShort ? Math.min(SHORT_ATTEMPTS, attempts) : attempts, tuning),
  });
}

export interface DeviceCall {
  readonly deviceQueue: string;
  readonly run: string;
  readonly priority: number;
  readonly chunkSeconds: number;
  readonly tuning?: Tuning | undefined;
}

/**
 * No schedule-to-start or schedule-to-close timeout: a fleet may start from nothing and a queue may last days.
 * WAIT_CANCELLATION_COMPLETED: a cancellation is over when the checkpoint is written.
 */
export function deviceActivities({ deviceQueue, run, priority, chunkSeconds, tuning }: DeviceCall): DeviceActivities {
  return proxyActivities<DeviceActivities>({
    taskQueue: deviceQueue,
    startToCloseTimeout: (3 * chunkSeconds + CHUNK_SLACK_SECONDS) * 1000,
    heartbeatTimeout: heartbeatMs(tuning),
    retry: retry(tuning?.attempts ?? CHUNK_ATTEMPTS, tuning),
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    // Fairness: a run of 100 000 items cannot starve one of 10. Servers without it ignore the key.
    priority: { priorityKey: priority, fairnessKey: run },
  });
}
