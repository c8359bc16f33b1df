/**
 * @file What the run command asks of the machinery and what it hears from it. `activities/run.ts` fits these types.
 */
import type { OnInvalid, Rejection } from './rejections.ts';

/** Where an item was asked for: `prompts.jsonl`, line 7. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

export interface RunItemRequest {
  /** Place in the input, from 0. */
  readonly index: number;
  readonly prompt: string;
  readonly seed: number;
  /** The user's own name of it. */
  readonly id?: string;
  /** Options that differ from the pack's defaults, checked one by one; how they fit together is checked by resolving. */
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  /** For messages about this item. */
  readonly origin?: Origin;
}

export interface RunRequest {
  readonly items: readonly RunItemRequest[];
  /** Name or folder. */
  readonly pack: string;
  /** Folder or URL. */
  readonly store: string;
  readonly lanes?: number;
  /** Steps between checkpoints. */
  readonly checkpointEvery?: number;
  /** Whether previews are written; by default for runs of up to 1000 items. */
  readonly previews?: boolean;
  readonly provider: string;
  readonly threads?: number;
  /** Folder with what was measured on this machine, for an estimate of the time. */
  readonly cache?: string;
  /** Aborted: every lane is brought to a checkpoint, then `interrupted` is true in the summary. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: RunEvent) => void;
  /** What becomes of items that cannot be searched. Default `fail`. */
  readonly onInvalid?: OnInvalid;
  /** Lines that could not be read, for the list of the run. */
  readonly rejected?: readonly Rejection[];
}

interface OfItem {
  readonly run: string;
  readonly item: string;
  readonly index: number;
  readonly prompt: string;
  readonly seed: number;
}

/** Said once, before the first step. */
export interface PlanEvent {
  readonly type: 'plan';
  readonly run: string;
  /** Of the run in the store, as a path. */
  readonly folder: string;
  readonly items: number;
  /** Items that are there, that go on from a checkpoint, and that begin. */
  readonly skipped: number;
  readonly continued: number;
  readonly started: number;
  readonly pack: { readonly name: string; readonly version: string; readonly digest: string };
  readonly provider: string;
  readonly threads: number;
  /** `fused`, `split` ... */
  readonly plan: string;
  readonly lanes: number;
  readonly memoryBytes: number;
  /** Of the whole run, from a measured or tabulated rate; absent when there is none. */
  readonly secondsExpected?: number;
  /** Where that is from. */
  readonly secondsFrom?: string;
  /** Steps to do, all items together. */
  readonly steps: number;
}

export type RunEvent =
  | PlanEvent
  /** A lane begins, or goes on: `step` steps are done. */
  | (OfItem & { readonly type: 'start'; readonly step: number; readonly steps: number })
  | (OfItem & {
      readonly type: 'step';
      readonly step: number;
      readonly steps: number;
      readonly losses: Readonly<Record<string, number>>;
    })
  | (OfItem & { readonly type: 'preview' | 'checkpoint'; readonly step: number; readonly path: string })
  | (OfItem & {
      readonly type: 'done' | 'skipped';
      readonly path: string;
      readonly scores: Readonly<Record<string, number>>;
    })
  | (OfItem & {
      readonly type: 'failed';
      readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
    })
  | { readonly type: 'note'; readonly run?: string; readonly item?: string; readonly message: string };

export interface RunSummary {
  readonly run: string;
  readonly folder: string;
  readonly succeeded: number;
  readonly failed: number;
  /** Of the succeeded, those that were there before. */
  readonly skipped: number;
  /** Of what was asked for, left out because it cannot be searched. */
  readonly rejected?: number;
  /** Items without a result: only after an interruption. */
  readonly unfinished: number;
  readonly interrupted: boolean;
  readonly seconds: number;
  readonly manifest: string;
  readonly contactSheet?: string;
}

export type StartRun = (request: RunRequest) => Promise<RunSummary>;

/** One tensor of a reference file, compared. */
export interface CheckedTensor {
  readonly name: string;
  readonly kind: 'output' | 'gradient';
  readonly maxAbsolute: number;
  readonly maxRelative: number;
  readonly ok: boolean;
}

export interface CheckedFunction {
  /** Reference file. */
  readonly file: string;
  readonly name: string;
  readonly tensors: readonly CheckedTensor[];
}

export interface ModelsCheckReport {
  readonly folder: string;
  /** Class of the model. */
  readonly architecture: string;
  readonly rtol: number;
  readonly atol: number;
  readonly functions: readonly CheckedFunction[];
}

export interface ModelsCheckOptions {
  readonly rtol?: number;
  readonly atol?: number;
  readonly provider: string;
  readonly threads?: number;
}

export type CheckModels = (folder: string, options: ModelsCheckOptions) => Promise<ModelsCheckReport>;

/** The heavy rooms, each loaded when a command needs it. */
export interface Engine {
  startRun(): Promise<StartRun>;
  checkModels(): Promise<CheckModels>;
}
