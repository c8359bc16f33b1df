/**
 * @file Activities as workflows know them: names, arguments, answers. Ids and counters only; prompts, specs, latents are
 * in the store. A change that an older worker would not understand is a new activity under a new name.
 */

interface OfRun {
  readonly v: 1;
  readonly run: string;
}

interface OfItem extends OfRun {
  readonly item: string;
}

export interface LoadPageInput extends OfRun {
  /** From 0. */
  readonly page: number;
  readonly itemsPerPage: number;
}

export interface LoadPageResult {
  /** Item ids in the order of the input. */
  readonly items: readonly string[];
}

export interface ClaimItemInput extends OfItem {
  readonly index: number;
  /** Whether a failure that is recorded is searched again. */
  readonly retryFailed: boolean;
}

/** What the store knows of an item. */
export interface ClaimItemResult {
  readonly state: 'open' | 'done' | 'failed';
  /** Steps that the newest whole checkpoint holds. */
  readonly step: number;
  /** Of a failure that is recorded. */
  readonly code?: string;
}

export interface OptimiseChunkInput extends OfItem {
  readonly index: number;
  readonly checkpointEvery: number;
  readonly seconds: number;
  readonly previews: boolean;
}

export interface OptimiseChunkResult {
  /** Steps done, all of them in the store. */
  readonly step: number;
  /**
   * `time` and `drain`: there is more to do. `done`: the picture is published. `failed`: the failure is, and trying again
   * with the same settings would fail in the same way.
   */
  readonly ended: 'time' | 'drain' | 'done' | 'failed';
  /** Of a failure. */
  readonly code?: string;
}

export interface RecordFailureInput extends OfItem {
  readonly index: number;
  readonly code: string;
}

export interface FinaliseRunInput extends OfRun {
  readonly items: number;
}

/** On `IO_QUEUE`. */
export interface IoActivities {
  loadPage(input: LoadPageInput): Promise<LoadPageResult>;
  claimItem(input: ClaimItemInput): Promise<ClaimItemResult>;
  /** Results into `manifest.jsonl`, in the order of the input, and all of a small run on one contact sheet. */
  finaliseRun(input: FinaliseRunInput): Promise<void>;
}

/** On a device queue. */
export interface DeviceActivities {
  optimiseChunk(input: OptimiseChunkInput): Promise<OptimiseChunkResult>;
  /** `result.json` of an item whose search cannot go on, unless there is a result. */
  recordFailure(input: RecordFailureInput): Promise<void>;
}
