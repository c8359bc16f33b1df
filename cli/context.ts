/**
 * @file What a command gets from the process it runs in, so that it can be run in another one.
 */
import type { Readable } from 'node:stream';

import type { Environment } from './config.ts';
import type { Output } from './render.ts';
import type { Engine } from './run-contract.ts';

export interface Context extends Output {
  /** Words after `referee`. */
  readonly argv: readonly string[];
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly environment: Environment;
  readonly engine: Engine;
  /** Of referee. */
  readonly version: string;
}
