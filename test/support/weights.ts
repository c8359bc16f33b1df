/**
 * @file Weights for graphs in tests: of fixtures, changed at will, or made up. They are written to a file, since graphs
 * read weights from files.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { WeightSource } from '../../models/nn/scope.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { weightSource } from '../../models/packs/weight-source.ts';
import { openSafetensors, writeSafetensors } from '../../models/weights/safetensors.ts';
import { fixturePath } from './fixtures.ts';
import { temporaryFolder } from './folder.ts';

/** Of these tensors; the file is gone when the test is. */
export async function weightsOf(
  tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>,
): Promise<WeightSource> {
  const path = join(await temporaryFolder(), 'model.safetensors');
  await writeFile(path, writeSafetensors(tensors));
  return openWeights(path);
}

/** Of files, by absolute paths. */
export async function openWeights(...paths: readonly string[]): Promise<WeightSource> {
  const files = [];
  for (const path of paths) {
    await using file = await openSafetensors(path);
    files.push({ path, tensors: file.tensors });
  }
  return weightSource(files, paths[0] ?? 'no file');
}

/** The config of a folder of `test/fixtures`. */
export function fixtureConfig(folder: string): Record<string, unknown> {
  return JSON.parse(readFileSync(fixturePath(`${folder}/config.json`), 'utf8')) as Record<string, unknown>;
}
