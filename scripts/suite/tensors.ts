/**
 * @file Recorded inputs and outputs of a case (`input_0.pb`), and how near two results are.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { fromBinary } from '@bufbuild/protobuf';

import { realsOf } from '../../activities/gradients/reals.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { fromBfloat16 } from '../../models/onnx/half.ts';
import { TensorProtoSchema } from '../../models/onnx/onnx_pb.ts';
import { readTensor } from '../../models/onnx/read-tensor.ts';

/** What a case was recorded with. An element is undefined where it is no tensor of numbers (text, a sequence, fp8). */
export interface DataSet {
  readonly inputs: readonly (Tensor | undefined)[];
  readonly outputs: readonly (Tensor | undefined)[];
}

export async function readDataSets(folder: string): Promise<DataSet[]> {
  const sets = (await readdir(folder)).filter((name) => name.startsWith('test_data_set_')).sort();
  return Promise.all(
    sets.map(async (set) => {
      const names = await readdir(join(folder, set));
      const all = (kind: string): Promise<(Tensor | undefined)[]> =>
        Promise.all(
          names
            .filter((name) => name.startsWith(kind))
            .sort((a, b) => numberIn(a) - numberIn(b))
            .map((name) => readPb(join(folder, set, name))),
        );
      return { inputs: await all('input_'), outputs: await all('output_') };
    }),
  );
}

const numberIn = (name: string): number => Number(/\d+/.exec(name)?.[0]);

async function readPb(path: string): Promise<Tensor | undefined> {
  try {
    // A copy of its own: views of Node's pool may not be aligned.
    const tensor = readTensor(fromBinary(TensorProtoSchema, new Uint8Array(await readFile(path))), path);
    return 'external' in tensor ? undefined : tensor;
  } catch {
    return undefined;
  }
}

/** What other kernels and other orders of sums may leave, as the suite itself allows it, and wider for few digits. */
function allowedFor(dtype: Tensor['dtype']): { readonly relative: number; readonly absolute: number } {
  if (dtype === 'bfloat16') return { relative: 4e-2, absolute: 1e-2 };
  return dtype === 'float16' ? { relative: 1e-2, absolute: 1e-3 } : { relative: 1e-3, absolute: 1e-5 };
}

/** Why two tensors differ; undefined if they do not. */
export function differenceOf(found: Tensor | undefined, expected: Tensor): string | undefined {
  if (!found) return 'missing';
  const kind = ({ dtype, shape }: Tensor): string => `${dtype}[${shape.join(',')}]`;
  if (kind(found) !== kind(expected)) return `${kind(found)}, expected ${kind(expected)}`;
  const [a, b] = [numbersOf(found), numbersOf(expected)];
  const { relative, absolute } = allowedFor(expected.dtype);
  // Sums that cancel leave what is rounded of their terms.
  let largest = 1;
  for (let at = 0; at < b.length; at += 1) {
    if (Number.isFinite(b[at])) largest = Math.max(largest, Math.abs(b[at]!));
  }
  for (let at = 0; at < b.length; at += 1) {
    const isSame =
      Object.is(a[at], b[at]) ||
      a[at] === b[at] ||
      (isEndless(a[at]!) && isEndless(b[at]!) && a[at]! > 0 === b[at]! > 0);
    if (isSame || Math.abs(a[at]! - b[at]!) <= relative * Math.abs(b[at]!) + absolute * largest) continue;
    return `element ${at} of ${b.length} is ${a[at]}, expected ${b[at]}`;
  }
  return undefined;
}

/** Masks are written as infinities or as the largest number of the type. */
const isEndless = (x: number): boolean => Math.abs(x) > 3.4e38;

function numbersOf(tensor: Tensor): ArrayLike<number> {
  return tensor.dtype === 'bfloat16' ? Array.from(tensor.data as Uint16Array, fromBfloat16) : realsOf(tensor);
}
