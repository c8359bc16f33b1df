/**
 * @file Element types: ONNX's numbers for them, their size, and the typed array that holds them in memory.
 */

import { toBfloat16, toFloat16 } from './half.ts';

/** Element types of values. Names are those of TensorProto.DataType, written as numpy does. */
export type DType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint64'
  | 'uint32'
  | 'uint16'
  | 'uint8'
  | 'bool';

/** Arrays that hold elements. float16 and bfloat16 are kept as their 16 bits, bool as bytes 0 and 1. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

interface DTypeInfo {
  /** TensorProto.DataType */
  readonly onnx: number;
  readonly bytes: number;
  readonly isFloat: boolean;
  readonly array: new (buffer: ArrayBuffer, offset: number, length: number) => TypedArray;
}

export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  float32: { onnx: 1, bytes: 4, isFloat: true, array: Float32Array },
  uint8: { onnx: 2, bytes: 1, isFloat: false, array: Uint8Array },
  int8: { onnx: 3, bytes: 1, isFloat: false, array: Int8Array },
  uint16: { onnx: 4, bytes: 2, isFloat: false, array: Uint16Array },
  int16: { onnx: 5, bytes: 2, isFloat: false, array: Int16Array },
  int32: { onnx: 6, bytes: 4, isFloat: false, array: Int32Array },
  int64: { onnx: 7, bytes: 8, isFloat: false, array: BigInt64Array },
  bool: { onnx: 9, bytes: 1, isFloat: false, array: Uint8Array },
  float16: { onnx: 10, bytes: 2, isFloat: true, array: Uint16Array },
  float64: { onnx: 11, bytes: 8, isFloat: true, array: Float64Array },
  uint32: { onnx: 12, bytes: 4, isFloat: false, array: Uint32Array },
  uint64: { onnx: 13, bytes: 8, isFloat: false, array: BigUint64Array },
  bfloat16: { onnx: 16, bytes: 2, isFloat: true, array: Uint16Array },
};

const BY_NUMBER = new Map((Object.keys(DTYPES) as DType[]).map((dtype) => [DTYPES[dtype].onnx, dtype]));

/** The element type of a TensorProto.DataType, undefined if it is none of ours. */
export function dtypeOf(onnx: number): DType | undefined {
  return BY_NUMBER.get(onnx);
}

export function isFloat(dtype: DType): boolean {
  return DTYPES[dtype].isFloat;
}

/** A tensor in memory: elements in row-major order, `data.length` = product of `shape`. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** float32 tensor from numbers. `shape` defaults to one axis. */
export function float32(values: ArrayLike<number>, shape: readonly number[] = [values.length]): Tensor {
  return { dtype: 'float32', shape, data: Float32Array.from(values) };
}

/** int64 tensor from whole numbers. `shape` defaults to one axis. */
export function int64(values: readonly number[], shape: readonly number[] = [values.length]): Tensor {
  return { dtype: 'int64', shape, data: BigInt64Array.from(values, (v) => BigInt(v)) };
}

type ScalarType = 'float32' | 'float64' | 'float16' | 'bfloat16' | 'int64' | 'int32';

/** A tensor without axes, float32 if nothing is said. */
export function scalar(value: number, dtype: ScalarType = 'float32'): Tensor {
  switch (dtype) {
    case 'float32':
      return { dtype, shape: [], data: Float32Array.of(value) };
    case 'float64':
      return { dtype, shape: [], data: Float64Array.of(value) };
    case 'float16':
      return { dtype, shape: [], data: Uint16Array.of(toFloat16(value)) };
    case 'bfloat16':
      return { dtype, shape: [], data: Uint16Array.of(toBfloat16(value)) };
    case 'int64':
      return { dtype, shape: [], data: BigInt64Array.of(BigInt(value)) };
    case 'int32':
      return { dtype, shape: [], data: Int32Array.of(value) };
  }
}

/** Whether `scalar` makes constants of this type. */
export function isScalarType(dtype: DType): dtype is ScalarType {
  return isFloat(dtype) || dtype === 'int64' || dtype === 'int32';
}
