/**
 * @file A case with its whole numbers as constants. The suite feeds axes and sizes as inputs, which exporters write into
 * the file, and which decide how many axes there are.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import type { Tensor } from '../../models/onnx/dtype.ts';
import { DTYPES } from '../../models/onnx/dtype.ts';
import { ModelProtoSchema, TensorProtoSchema } from '../../models/onnx/onnx_pb.ts';
import type { DataSet } from './tensors.ts';

/** Undefined where there is one data set too many, or no whole number. */
export function withWholesFixed(
  bytes: Uint8Array,
  sets: readonly DataSet[],
): { readonly bytes: Uint8Array; readonly sets: DataSet[] } | undefined {
  const [set] = sets;
  const model = fromBinary(ModelProtoSchema, bytes);
  const graph = model.graph;
  if (!graph || !set || sets.length !== 1 || graph.input.length !== set.inputs.length) return undefined;
  const isWhole = (tensor: Tensor | undefined): tensor is Tensor =>
    tensor !== undefined && (tensor.dtype === 'int64' || tensor.dtype === 'int32');
  const fixed = graph.input.flatMap(({ name }, at) =>
    isWhole(set.inputs[at]) ? [{ name, tensor: set.inputs[at] }] : [],
  );
  if (fixed.length === 0) return undefined;
  graph.initializer.push(
    ...fixed.map(({ name, tensor: { dtype, shape, data } }) =>
      create(TensorProtoSchema, {
        name,
        dataType: DTYPES[dtype].onnx,
        dims: shape.map((size) => BigInt(size)),
        rawData: new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)),
      }),
    ),
  );
  const inputs = set.inputs.filter((tensor) => !isWhole(tensor));
  graph.input = graph.input.filter((_, at) => !isWhole(set.inputs[at]));
  return { bytes: toBinary(ModelProtoSchema, model), sets: [{ ...set, inputs }] };
}
