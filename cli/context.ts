/**
 * @file What a command gets from the process it runs in, so that it can be run in another one.
 */
import type { Readable } from 'node:stream';

import type { CheckOptions, CheckReport } from '../activities/models-check.ts';
import type { StartRun } from '../activities/run-contract.ts';
import type { Environment } from './config.ts';
import type { Output } from './render.ts';

/** The heavy rooms, each loaded when a command needs it. */
export interface Engine {
  readonly startRun: () => Promise<StartRun>;
  readonly checkFolder: () => Promise<(folder: string, options?: CheckOptions) => Promise<CheckReport>>;
}

export interface Context extends Output {
  /** Words after `referee`. */
  readonly argv: readonly string[];
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly environment: Environment;
  readonly engine: Engine;
  /** Folder of what can be made again; where there is none nothing is kept. */
  readonly cache?: string;
  /** Of referee. */
  readonly version: string;
}
