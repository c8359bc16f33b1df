/**
 * @file Elements of tensors as numbers, also of the half precision types that are kept as bits.
 */
import type { Tensor } from '../../models/onnx/dtype.ts';

export function toNumbers({ dtype, data }: Tensor): number[] {
  if (dtype === 'float16') return Array.from(data as Uint16Array, fromFloat16);
  if (dtype === 'bfloat16') return Array.from(data as Uint16Array, fromBfloat16);
  return Array.from(data as ArrayLike<number | bigint>, Number);
}

/** IEEE 754 binary16. */
function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The upper half of a float32. */
function fromBfloat16(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;
}
