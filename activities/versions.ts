/**
 * @file Versions of what takes part in a picture, for results and provenance.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { RefereeError } from '../errors.ts';

const packageSchema = z.looseObject({ name: z.string(), version: z.string() });

export interface Versions {
  readonly referee: string;
  readonly node: string;
  readonly onnxruntime: string;
}

let known: Versions | undefined;

export function versions(): Versions {
  known ??= { referee: ownVersion(), node: process.versions.node, onnxruntime: onnxruntimeVersion() };
  return known;
}

/** The nearest package.json above this file that is referee's: sources and built files lie at different depths. */
function ownVersion(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const found = readPackage(join(folder, 'package.json'));
    if (found?.name === 'referee') return found.version;
  }
  throw new RefereeError('Internal', 'package.json of referee is not above its files');
}

function onnxruntimeVersion(): string {
  const require = createRequire(import.meta.url);
  return packageSchema.parse(require('onnxruntime-node/package.json')).version;
}

function readPackage(file: string): z.infer<typeof packageSchema> | undefined {
  try {
    return packageSchema.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
