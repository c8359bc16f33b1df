/**
 * @file Safetensors files as one source of weights for graphs: names and byte ranges, no bytes.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { WeightEntry, WeightSource } from '../nn/scope.ts';
import type { TensorEntry } from '../weights/header.ts';

/** What is needed of an open file; its handle may be closed afterwards. */
export interface WeightFile {
  /** Absolute path. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/**
 * The tensors of all files together.
 *
 * @param label begins every message about a weight: a file or a folder
 * @throws RefereeError `InvalidWeights` for a name that two files have
 */
export function weightSource(files: readonly WeightFile[], label: string): WeightSource {
  const tensors = new Map<string, WeightEntry>();
  for (const { path, tensors: entries } of files) {
    for (const [name, { dtype, shape, offset, length }] of entries) {
      const other = tensors.get(name);
      if (other) {
        throw new RefereeError('InvalidWeights', `tensor ${quoted(name)} is in both ${other.file} and ${path}`);
      }
      tensors.set(name, { dtype, shape, file: path, offset, length });
    }
  }
  return { label, tensors };
}
