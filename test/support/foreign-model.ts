/**
 * @file ONNX files as others write them, and wrong ones: put together message by message.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { create, toBinary } from '@bufbuild/protobuf';

import type {
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  TypeProtoSchema,
} from '../../models/onnx/onnx_pb.ts';
import { AttributeProto_AttributeType as AttributeType, ModelProtoSchema } from '../../models/onnx/onnx_pb.ts';

export type GraphInit = MessageInitShape<typeof GraphProtoSchema>;
export type AttributeInit = MessageInitShape<typeof AttributeProtoSchema>;
type TypeInit = MessageInitShape<typeof TypeProtoSchema>;

export const FLOAT = 1;
export const INT64 = 7;

/** A tensor type; text is a symbolic dimension, null an empty one. */
export function tensorType(elemType: number, dims: readonly (number | string | null)[]): TypeInit {
  const dim = dims.map((size) =>
    size === null
      ? {}
      : typeof size === 'number'
        ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
        : { value: { case: 'dimParam' as const, value: size } },
  );
  return { value: { case: 'tensorType', value: { elemType, shape: { dim } } } };
}

export const intAttribute = (name: string, i: number): AttributeInit => ({
  name,
  type: AttributeType.INT,
  i: BigInt(i),
});

export const intsAttribute = (name: string, ints: readonly number[]): AttributeInit => ({
  name,
  type: AttributeType.INTS,
  ints: ints.map((v) => BigInt(v)),
});

/** A model with input x: float32[N, 2] and output y, if the graph says nothing else. */
export function foreignModel(
  graph: GraphInit,
  { opset = 17, imports = [''], functions = [] }: ForeignOptions = {},
): Uint8Array {
  const whole = create(ModelProtoSchema, {
    irVersion: 8n,
    functions: [...functions],
    opsetImport: imports.map((domain) => ({ domain, version: BigInt(opset) })),
    graph: {
      name: 'foreign',
      input: [{ name: 'x', type: tensorType(FLOAT, ['N', 2]) }],
      output: [{ name: 'y' }],
      ...graph,
    },
  });
  return toBinary(ModelProtoSchema, whole);
}

interface ForeignOptions {
  readonly opset?: number;
  /** Domains of the imported operator sets. */
  readonly imports?: readonly string[];
  readonly functions?: readonly MessageInitShape<typeof FunctionProtoSchema>[];
}
