/**
 * @file Workers of this process whose activities do as they are told: for what workflows make of answers, failures, aborts.
 * The workflows, the queues and the server are the real ones; nothing is computed and no store is touched.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { WorkerDeploymentOptions } from '@temporalio/worker';

import type { DeviceActivities, IoActivities, OptimiseChunkInput } from '../../../../activities/contracts.ts';
import { bundleWorkflows } from '../../../../worker/bundle.ts';
import { IO_QUEUE, ITEMS_PER_PAGE, WORKFLOW_QUEUE } from '../../../../workflows/ids.ts';
import type { BatchInput } from '../../../../workflows/messages.ts';

export type Activities = IoActivities & DeviceActivities;

/** Queue of the scripted searches: no real worker has it. */
export const SCRIPTED_QUEUE = 'referee.gpu.scripted.00000000';

/** Instead of the machine's name: histories are kept. */
export const IDENTITY = 'scripted';

/** The item at a place of the input. */
export function scriptedItem(index: number): string {
  return `i${String(index).padStart(20, '0')}`;
}

export function scriptedBatch(run: string, items: number, settings: Partial<BatchInput> = {}): BatchInput {
  return {
    v: 1,
    run,
    items,
    itemsPerPage: ITEMS_PER_PAGE,
    deviceQueue: SCRIPTED_QUEUE,
    window: 16,
    chunkSeconds: 60,
    checkpointEvery: 4,
    previews: false,
    priority: 3,
    round: 0,
    retryFailed: false,
    tuning: { heartbeatSeconds: 5, retrySeconds: 0.1 },
    ...settings,
  };
}

/** Everything goes well in one chunk; `items` is the size of the run. */
export function smoothActivities(items: number): Activities {
  return {
    loadPage: ({ page, itemsPerPage }) => {
      const size = Math.min(itemsPerPage, items - page * itemsPerPage);
      return Promise.resolve({
        items: Array.from({ length: size }, (_, at) => scriptedItem(page * itemsPerPage + at)),
      });
    },
    claimItem: () => Promise.resolve({ state: 'open', step: 0 }),
    finaliseRun: () => Promise.resolve(),
    optimiseChunk: () => Promise.resolve({ step: 8, ended: 'done' }),
    recordFailure: () => Promise.resolve(),
  };
}

/** A search that goes on until its attempt is aborted, and is then reported as cancelled. */
export async function untilCancelled(): Promise<never> {
  const { cancelled, heartbeat } = Context.current();
  const timer = setInterval(() => heartbeat(), 200);
  try {
    return await cancelled;
  } finally {
    clearInterval(timer);
  }
}

/** What an activity throws that meets an error of this code. */
export function failure(code: string, { isRetried }: { readonly isRetried: boolean }): ApplicationFailure {
  return ApplicationFailure.create({ type: code, message: `${code} as ordered`, nonRetryable: !isRetried });
}

/** An event that something waits for. */
export class Gate {
  open: () => void = () => undefined;
  readonly passed = new Promise<void>((resolve) => (this.open = resolve));
}

export type Chunk = (input: OptimiseChunkInput) => ReturnType<DeviceActivities['optimiseChunk']>;

export interface ScriptedSettings {
  readonly activities?: Activities;
  /** Of the workflows; those of the sources by default. */
  readonly code?: string;
  /** Of workflow tasks. */
  readonly version?: WorkerDeploymentOptions;
}

let sources: Promise<string> | undefined;

/** The code of the workflows, built once. */
export function workflowCode(): Promise<string> {
  return (sources ??= bundleWorkflows());
}

/** Workers that run until they are stopped. Without activities: workflow tasks alone. */
export class ScriptedWorkers implements AsyncDisposable {
  readonly #workers: readonly Worker[];
  readonly #connection: NativeConnection;
  readonly #ends: Promise<unknown>;

  private constructor(workers: readonly Worker[], connection: NativeConnection) {
    this.#workers = workers;
    this.#connection = connection;
    this.#ends = Promise.all(workers.map((worker) => worker.run()));
  }

  static async start(address: string, { activities, code, version }: ScriptedSettings): Promise<ScriptedWorkers> {
    const connection = await NativeConnection.connect({ address });
    const common = { connection, identity: IDENTITY, shutdownGraceTime: 0, maxHeartbeatThrottleInterval: 200 };
    const workers = [
      await Worker.create({
        ...common,
        taskQueue: WORKFLOW_QUEUE,
        workflowBundle: { code: code ?? (await workflowCode()) },
        ...(version && { workerDeploymentOptions: version }),
      }),
    ];
    for (const taskQueue of activities ? [IO_QUEUE, SCRIPTED_QUEUE] : []) {
      workers.push(await Worker.create({ ...common, taskQueue, activities: { ...activities } }));
    }
    return new ScriptedWorkers(workers, connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await this.#ends;
    await this.#connection.close();
  }
}
