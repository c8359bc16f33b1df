/**
 * @file Makes initializers of a model file inputs, so that a run can give them other values. Nothing else is read or
 * changed: the file is run as its exporter wrote it.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import type { Value } from './graph.ts';
import { DTYPES } from './dtype.ts';
import { ModelProtoSchema, ValueInfoProtoSchema } from './onnx_pb.ts';

/** The file with these initializers (or results of `Constant` nodes) as inputs of their type and shape. */
export function freeInitializers(bytes: Uint8Array, values: readonly Value[]): Uint8Array {
  if (values.length === 0) return bytes;
  const model = fromBinary(ModelProtoSchema, bytes);
  const graph = model.graph!;
  const names = new Set(values.map(({ name }) => name));
  graph.initializer = graph.initializer.filter(({ name }) => !names.has(name));
  graph.node = graph.node.filter(({ opType, output }) => opType !== 'Constant' || !names.has(output[0] ?? ''));
  graph.input = graph.input.filter(({ name }) => !names.has(name));
  for (const { name, dtype, shape } of values) {
    const dim = shape.map((size) => ({ value: { case: 'dimValue' as const, value: BigInt(size) } }));
    const type = { value: { case: 'tensorType' as const, value: { elemType: DTYPES[dtype].onnx, shape: { dim } } } };
    graph.input.push(create(ValueInfoProtoSchema, { name, type }));
  }
  return toBinary(ModelProtoSchema, model);
}
