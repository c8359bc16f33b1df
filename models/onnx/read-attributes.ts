/**
 * @file AttributeProto -> attributes of a node.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { Attribute, Attributes } from './graph.ts';
import type { AttributeProto } from './onnx_pb.ts';
import { AttributeProto_AttributeType as AttributeType } from './onnx_pb.ts';
import { readTensor } from './read-tensor.ts';

/** Attributes by name; subgraphs, sequences and references to functions are errors that name the node. */
export function readAttributes(protos: readonly AttributeProto[], where: string): Attributes {
  const attributes = new Map<string, Attribute>();
  for (const proto of protos) {
    const whose = `${where}: attribute ${quoted(proto.name)}`;
    if (attributes.has(proto.name)) throw new RefereeError('InvalidModel', `${whose} is given twice`);
    attributes.set(proto.name, readAttribute(proto, whose));
  }
  return Object.fromEntries(attributes);
}

function readAttribute(proto: AttributeProto, where: string): Attribute {
  if (proto.refAttrName !== '') throw unsupported(where, 'a reference to an attribute of a function');
  switch (proto.type) {
    case AttributeType.INT:
      return { type: 'int', value: wholeOf(proto.i, where) };
    case AttributeType.FLOAT:
      return { type: 'float', value: proto.f };
    case AttributeType.STRING:
      return { type: 'string', value: textOf(proto.s, where) };
    case AttributeType.INTS:
      return { type: 'ints', value: proto.ints.map((value) => wholeOf(value, where)) };
    case AttributeType.FLOATS:
      return { type: 'floats', value: proto.floats };
    case AttributeType.STRINGS:
      return { type: 'strings', value: proto.strings.map((value) => textOf(value, where)) };
    case AttributeType.TENSOR: {
      const tensor = proto.t && readTensor(proto.t, where);
      if (!tensor || 'external' in tensor) throw new RefereeError('InvalidModel', `${where} has no tensor`);
      return { type: 'tensor', value: tensor };
    }
    case AttributeType.GRAPH:
    case AttributeType.GRAPHS:
      throw unsupported(where, 'a subgraph');
    case AttributeType.UNDEFINED:
    case AttributeType.SPARSE_TENSOR:
    case AttributeType.SPARSE_TENSORS:
    case AttributeType.TENSORS:
    case AttributeType.TYPE_PROTO:
    case AttributeType.TYPE_PROTOS:
      throw unsupported(where, `of type ${proto.type}`);
    default:
      throw unsupported(where, 'of an unknown type');
  }
}

function unsupported(where: string, what: string): RefereeError {
  return new RefereeError('InvalidModel', `${where} is ${what}, which is not supported`);
}

function wholeOf(value: bigint, where: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new RefereeError('InvalidModel', `${where} is ${value}, beyond 2^53`);
  }
  return Number(value);
}

function textOf(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new RefereeError('InvalidModel', `${where} is not UTF-8`, { cause });
  }
}
