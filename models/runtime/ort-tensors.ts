/**
 * @file Our tensors as onnxruntime's and back, over the same memory.
 */
import { Tensor as OrtTensor, type OnnxValue } from 'onnxruntime-node';

import type { DType, Tensor } from '../onnx/dtype.ts';

export function toOrt({ dtype, data, shape }: Tensor): OrtTensor {
  // The constructor's overloads pair each dtype with its array; ours are paired the same way.
  return new OrtTensor(dtype as 'float32', data as Float32Array, shape);
}

export function fromOrt(value: OnnxValue): Tensor {
  const { buffer, byteOffset, length } = value.data as Float32Array<ArrayBuffer>;
  // Newer Node has a Float16Array, which onnxruntime then uses; our float16 are their 16 bits everywhere.
  const data = value.type === 'float16' ? new Uint16Array(buffer, byteOffset, length) : (value.data as Tensor['data']);
  return { dtype: value.type as DType, shape: value.dims, data };
}
