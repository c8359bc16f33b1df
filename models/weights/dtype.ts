/**
 * @file Element types in files: safetensors' names for them, and conversion between float32 and the two formats of 16
 * bits. float16 is IEEE 754 binary16; bfloat16 is the upper half of a float32. Both round to nearest, ties to even.
 */
import { DTYPES, type DType } from '../onnx/dtype.ts';

const NAMES: readonly (readonly [string, DType])[] = [
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U64', 'uint64'],
  ['U32', 'uint32'],
  ['U16', 'uint16'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
];

/** safetensors' name -> our dtype and the bytes of an element. */
export const SAFETENSORS_DTYPES: ReadonlyMap<string, { readonly dtype: DType; readonly bytes: number }> = new Map(
  NAMES.map(([name, dtype]) => [name, { dtype, bytes: DTYPES[dtype].bytes }]),
);

/** Our dtype -> safetensors' name. */
export const SAFETENSORS_NAMES: ReadonlyMap<DType, string> = new Map(NAMES.map(([name, dtype]) => [dtype, name]));

const bits = new Uint32Array(1);
const value = new Float32Array(bits.buffer);

/** float32 of each binary16 value. Exact. */
export function float16ToFloat32(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i += 1) out[i] = halfValue(halves[i]!);
  return out;
}

function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

/** Nearest binary16 of each value, ties to even; beyond 65504 + half a step: infinity. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i += 1) out[i] = halfBits(values[i]!);
  return out;
}

function halfBits(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(x);
  if (Number.isNaN(magnitude)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  // A binary16 has 11 significant bits, fewer below 2^-14, where its steps stay at 2^-24.
  const exponent = Math.max(Math.floor(Math.log2(magnitude || 2 ** -30)), -14);
  const steps = roundToEven(magnitude * 2 ** (10 - exponent));
  // Counted in steps, a carry into the next exponent comes out right by itself.
  return sign | (steps + (exponent + 14) * 1024);
}

function roundToEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest > 0.5 ? down + 1 : down;
  return down % 2 === 0 ? down : down + 1;
}

/** float32 of each bfloat16 value. Exact. */
export function bfloat16ToFloat32(brains: Uint16Array): Float32Array {
  const out = new Uint32Array(brains.length);
  for (let i = 0; i < brains.length; i += 1) out[i] = brains[i]! << 16;
  return new Float32Array(out.buffer);
}

/** Nearest bfloat16 of each value, ties to even. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i += 1) {
    value[0] = values[i]!;
    const raw = bits[0]!;
    out[i] = Number.isNaN(values[i]!) ? 0x7fc0 : (raw + 0x7fff + ((raw >>> 16) & 1)) >>> 16;
  }
  return out;
}
