/**
 * @file Elements of tensors as numbers, also of the half precision types that are kept as bits.
 */
import type { Tensor } from '../../models/onnx/dtype.ts';
import { fromBfloat16, fromFloat16 } from '../../models/onnx/half.ts';

export function toNumbers({ dtype, data }: Tensor): number[] {
  if (dtype === 'float16') return Array.from(data as Uint16Array, fromFloat16);
  if (dtype === 'bfloat16') return Array.from(data as Uint16Array, fromBfloat16);
  return Array.from(data as ArrayLike<number | bigint>, Number);
}
