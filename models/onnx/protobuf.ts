/**
 * @file Graph -> bytes of an ONNX ModelProto. `onnx.proto` is the file of the PyPI package onnx 1.19.0, unchanged. To make
 * `onnx_pb.ts` from it: protoc-gen-es 2.6 (`buf generate`, options target=ts, import_extension=ts), then, because this
 * project erases types and TypeScript's enums are code, each `enum` becomes an object:
 * perl -0pe 's{export enum (\w+) \{(.*?)\n\}}{my($n,$b)=($1,$2); $b =~ s/^(  \w+) = /$1: /gm;
 *   "export const $n = {$b\n} as const;\nexport type $n = (typeof $n)[keyof typeof $n];"}gse'
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { create, toBinary } from '@bufbuild/protobuf';

import { assertNever } from '../../errors.ts';
import type { Tensor } from './dtype.ts';
import { DTYPES } from './dtype.ts';
import { externalLocation } from './external-data.ts';
import type { Attribute, Graph, Initializer, Node, Value } from './graph.ts';
import type {
  AttributeProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  TypeProto,
  ValueInfoProtoSchema,
} from './onnx_pb.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TypeProtoSchema,
  TensorProto_DataLocation,
} from './onnx_pb.ts';
import { isUnknown } from './shapes.ts';

export { readModel } from './read-model.ts';
export type { ReadOptions } from './read-model.ts';

type AttributeInit = MessageInitShape<typeof AttributeProtoSchema>;
type NodeInit = MessageInitShape<typeof NodeProtoSchema>;
type TensorInit = MessageInitShape<typeof TensorProtoSchema>;
type ValueInit = MessageInitShape<typeof ValueInfoProtoSchema>;

/** Version of the file format that belongs to operator set 21. */
const IR_VERSION = 10n;

export interface WriteOptions {
  /** Folder that locations of external data are relative to. */
  readonly weightsRoot?: string;
}

/**
 * The graph as an ONNX file. Weights of other files stay there: their location is written relative to `weightsRoot`
 * (default "/"), so a session of onnxruntime needs that folder as `model_external_initializers_file_folder_path`.
 * The same graph gives the same bytes.
 *
 * @throws RefereeError `InvalidModel` for a weight outside `weightsRoot`
 */
export function writeModel(graph: Graph, { weightsRoot = '/' }: WriteOptions = {}): Uint8Array {
  const types = new Types();
  const toValueInfo = (value: Value): ValueInit => ({ name: value.name, type: types.of(value) });
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'referee',
    opsetImport: domainsOf(graph).map((domain) => ({ domain, version: domain === '' ? BigInt(graph.opset) : 1n })),
    graph: {
      name: graph.name,
      input: graph.inputs.map(toValueInfo),
      output: graph.outputs.map(toValueInfo),
      // With the shapes of everything in between, onnxruntime opens a large graph several times faster.
      valueInfo: betweenValues(graph).map(toValueInfo),
      initializer: graph.initializers.map((initializer) => toInitializer(initializer, weightsRoot)),
      node: graph.nodes.map(toNode),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/** What nodes make that is no output of the graph. */
function betweenValues({ nodes, outputs }: Graph): Value[] {
  const declared = new Set(outputs);
  return nodes.flatMap((node) => node.outputs).filter((value) => !declared.has(value));
}

function domainsOf(graph: Graph): string[] {
  return [...new Set(['', ...graph.nodes.map((node) => node.domain)])];
}

/** Types of values, each made once: thousands of values share some hundred of them. */
class Types {
  readonly #known = new Map<string, TypeProto>();

  of(value: Value): TypeProto {
    const key = `${value.dtype} ${value.shape.join()}`;
    const type = this.#known.get(key) ?? toType(value);
    this.#known.set(key, type);
    return type;
  }
}

/** A dimension that nothing is known of stays empty; a symbolic one keeps its name. */
function toType(value: Value): TypeProto {
  const dim = value.shape.map((size) => ({
    value:
      typeof size === 'number'
        ? { case: 'dimValue' as const, value: BigInt(size) }
        : isUnknown(size)
          ? { case: undefined }
          : { case: 'dimParam' as const, value: size },
  }));
  const tensorType = { elemType: DTYPES[value.dtype].onnx, shape: { dim } };
  return create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } });
}

function toInitializer({ value, data, external }: Initializer, weightsRoot: string): TensorInit {
  if (data) return { ...toTensor(data), name: value.name };
  return {
    name: value.name,
    dataType: DTYPES[value.dtype].onnx,
    dims: value.shape.map((size) => BigInt(size)),
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: [
      { key: 'location', value: externalLocation(external.file, weightsRoot) },
      { key: 'offset', value: String(external.offset) },
      { key: 'length', value: String(external.length) },
    ],
  };
}

function toTensor({ dtype, shape, data }: Tensor): TensorInit {
  return {
    dataType: DTYPES[dtype].onnx,
    dims: shape.map((size) => BigInt(size)),
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

function toNode(node: Node): NodeInit {
  return {
    name: node.name,
    opType: node.op,
    domain: node.domain,
    input: node.inputs.map((input) => input?.name ?? ''),
    output: node.outputs.map((output) => output.name),
    attribute: Object.entries(node.attributes).map(([name, attribute]) => ({ name, ...toAttribute(attribute) })),
  };
}

function toAttribute(attribute: Attribute): AttributeInit {
  switch (attribute.type) {
    case 'int':
      return { type: AttributeType.INT, i: BigInt(attribute.value) };
    case 'float':
      return { type: AttributeType.FLOAT, f: attribute.value };
    case 'string':
      return { type: AttributeType.STRING, s: utf8(attribute.value) };
    case 'ints':
      return { type: AttributeType.INTS, ints: attribute.value.map((v) => BigInt(v)) };
    case 'floats':
      return { type: AttributeType.FLOATS, floats: [...attribute.value] };
    case 'strings':
      return { type: AttributeType.STRINGS, strings: attribute.value.map(utf8) };
    case 'tensor':
      return { type: AttributeType.TENSOR, t: toTensor(attribute.value) };
    default:
      return assertNever(attribute);
  }
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
