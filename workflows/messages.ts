/**
 * @file What can be asked of a running batch, and told to it: plain data, versioned, small. Safe to import anywhere: no
 * workflow code comes with it.
 */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';

/** Items by state. Their sum is the number of items, once all pages are counted. */
export interface ItemCounts {
  readonly queued: number;
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  readonly cancelled: number;
}

export const NO_ITEMS: ItemCounts = { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 };

export type RunState = 'running' | 'paused' | 'completed' | 'cancelled' | 'failed';

/** Argument of the workflow `batch`. The prompts are in the store. */
export interface BatchInput {
  readonly v: 1;
  readonly run: string;
  /** Items of the run; pages of `itemsPerPage` follow from it. */
  readonly items: number;
  readonly itemsPerPage: number;
  /** Queue of the device activities. */
  readonly deviceQueue: string;
  /** Items that are open at the same time, over all pages. */
  readonly window: number;
  /** Seconds after which a chunk ends although there are steps left. */
  readonly chunkSeconds: number;
  /** Steps between checkpoints. */
  readonly checkpointEvery: number;
  readonly previews: boolean;
  /** Temporal's priority key of first chunks: 2 to 5, 3 by default. Later chunks go one before it. */
  readonly priority: number;
  /** From 0; each `retry` or `resume` of a closed batch is a further one, and has ids of its own. */
  readonly round: number;
  /** Whether items that failed before are searched again in this round. */
  readonly retryFailed: boolean;
  /** For tests: continues as new after so many events instead of when the server suggests it. */
  readonly continueAfterEvents?: number;
  /** For tests and experiments. */
  readonly tuning?: Tuning;
  /** Filled in by continue-as-new. */
  readonly cursor?: BatchCursor;
}

/** Settings of the server's side that are right as they are, but slow for tests. */
export interface Tuning {
  /** Without a heartbeat for so long an attempt is given up; 60 by default. */
  readonly heartbeatSeconds?: number;
  /** Before the second attempt; doubled before every further one. 2 by default. */
  readonly retrySeconds?: number;
  /** Between two attempts, at most; 60 by default. */
  readonly longestRetrySeconds?: number;
  /** Attempts at a chunk, 8 by default. */
  readonly attempts?: number;
  /** Attempts at what needs no device, 20 by default. */
  readonly ioAttempts?: number;
}

/** Where a batch goes on that continued as new. */
export interface BatchCursor {
  readonly page: number;
  readonly counts: ItemCounts;
  readonly paused: boolean;
  /** Of the last control signal. */
  readonly seq: number;
  readonly window: number;
  /** Code of the first page that broke. */
  readonly failure?: string;
}

type OfBatch = Omit<BatchInput, 'items' | 'cursor' | 'continueAfterEvents' | 'window'>;

/** Argument of the workflow `page`. */
export interface PageInput extends OfBatch {
  /** From 0. */
  readonly page: number;
  /** Items of the page. */
  readonly size: number;
  readonly control: ControlSignal;
}

/** Argument of the workflow `inversion`. */
export interface InversionInput extends Omit<OfBatch, 'itemsPerPage' | 'round'> {
  readonly item: string;
  readonly index: number;
  readonly control: ControlSignal;
}

/** Result of the workflow `inversion`. */
export interface ItemOutcome {
  readonly state: 'done' | 'failed';
  readonly code?: string;
}

/** Answer of the query `status` of a batch. Pages that are open count their items themselves: ask them too. */
export interface BatchStatus {
  readonly v: 1;
  readonly run: string;
  readonly state: RunState;
  readonly items: number;
  /** Of closed pages and of pages not yet open; items of open pages are in none of them. */
  readonly counts: ItemCounts;
  /** Workflow ids of the pages that are open now. */
  readonly openPages: readonly string[];
  readonly window: number;
  readonly round: number;
}

/** Answer of the query `pageStatus`. */
export interface PageStatus {
  readonly v: 1;
  readonly page: number;
  readonly counts: ItemCounts;
}

/** What the batch is asked to do; the answer is its status afterwards. Absolute, never "toggle". */
export interface ControlRequest {
  readonly paused?: boolean;
  /** With `paused`: running chunks stop at their next step instead of at their end. */
  readonly now?: boolean;
  readonly window?: number;
}

/** From the batch to its pages and from a page to its items. An older `seq` is ignored. */
export interface ControlSignal {
  readonly seq: number;
  readonly paused: boolean;
  readonly now: boolean;
  /** Items that a page may have open. */
  readonly window: number;
}

/** Result of the workflow `batch`, and of a page. */
export interface BatchResult {
  readonly v: 1;
  readonly counts: ItemCounts;
}

export const statusQuery = defineQuery<BatchStatus>('status');
export const pageStatusQuery = defineQuery<PageStatus>('pageStatus');
/** Accepted when the batch is open; for `executeUpdateWithStart`. */
export const acceptedUpdate = defineUpdate<BatchStatus>('accepted');
export const controlUpdate = defineUpdate<BatchStatus, [ControlRequest]>('control');
export const controlSignal = defineSignal<[ControlSignal]>('control');
