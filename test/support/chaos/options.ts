/** @file What a trial is asked for. */
export interface ChaosOptions {
  readonly seed: number;
  readonly faults: number;
  /** Of one batch; a further one begins while there are faults left. */
  readonly items: number;
  readonly workers: number;
  readonly lanes: number;
  readonly steps: number;
  readonly checkpointEvery: number;
  readonly heartbeatSeconds: number;
  /** Of the store's calls that are spoiled. */
  readonly spoiledShare: number;
  /** The command: program and first arguments. */
  readonly referee: readonly [string, ...string[]];
  /** Progress. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}
