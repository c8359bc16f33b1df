/**
 * @file The batches that faults fall upon: real searches of few steps, written and started as `submit` does it, with a
 * heartbeat short enough for stops to outlast it.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Client } from '@temporalio/client';

import { prepareRun } from '../../../activities/prepare-run.ts';
import { PromptTokenizer } from '../../../activities/prompts.ts';
import { resolveRun } from '../../../activities/specs.ts';
import { openPack } from '../../../models/packs/resolve.ts';
import { S3Store } from '../../../store/s3-store.ts';
import { batchId, deviceQueue, ITEMS_PER_PAGE, WORKFLOW_QUEUE } from '../../../workflows/ids.ts';
import type { batch } from '../../../workflows/batch.ts';
import type { BatchInput, BatchResult } from '../../../workflows/messages.ts';

export interface BatchOptions {
  readonly prompts: readonly string[];
  readonly steps: number;
  readonly checkpointEvery: number;
  readonly heartbeatSeconds: number;
  /** Ends the waiting for the result. */
  readonly signal: AbortSignal;
}

export interface Batch {
  readonly run: string;
  readonly items: readonly string[];
  readonly result: Promise<BatchResult>;
}

/** One search is hit far more often than on any fleet: neither attempts nor the pauses between them may grow with it. */
const ATTEMPTS = 1000;
const CHUNK_SECONDS = 20;
const AGAIN_MS = 500;

export async function beginBatch(
  client: Client,
  store: { readonly url: string; readonly endpoint: string },
  { prompts, steps, checkpointEvery, heartbeatSeconds, signal }: BatchOptions,
): Promise<Batch> {
  const pack = await openPack('shapes');
  const overrides = { steps };
  const requests = prompts.map((prompt, index) => ({ prompt, seed: 0, index, overrides, tags: [], metadata: {} }));
  const spec = resolveRun(requests, pack, await PromptTokenizer.open(pack));
  const { run, items } = spec;
  const bucket = new S3Store(store.url, { endpoint: store.endpoint });
  await prepareRun(bucket, { pack, spec, pending: items, specs: 'later', rejected: [] });
  const input: BatchInput = {
    ...{ v: 1, run, items: items.length, itemsPerPage: ITEMS_PER_PAGE, deviceQueue: deviceQueue(pack.digest) },
    ...{ window: items.length, chunkSeconds: CHUNK_SECONDS, checkpointEvery, previews: false },
    ...{ priority: 3, round: 0, retryFailed: false },
    tuning: { heartbeatSeconds, retrySeconds: 1, longestRetrySeconds: 2, attempts: ATTEMPTS },
  };
  await client.workflow.start<typeof batch>('batch', {
    workflowId: batchId(run),
    taskQueue: WORKFLOW_QUEUE,
    args: [input],
  });
  return { run, items: items.map(({ item }) => item), result: resultOf(client, run, signal) };
}

/** Through any absence of the server: a call that fails says nothing of the batch. */
async function resultOf(client: Client, run: string, signal: AbortSignal): Promise<BatchResult> {
  for (;;) {
    try {
      // Ended by the signal too: a call that the client repeats after its connection is closed ends the process.
      return await client.withAbortSignal(signal, () => client.workflow.getHandle<typeof batch>(batchId(run)).result());
    } catch (error) {
      if (error instanceof Error && error.name === 'WorkflowFailedError') throw error;
      await sleep(AGAIN_MS, undefined, { signal });
    }
  }
}
