/**
 * @file Writes very small ONNX models by hand, for the self-test of a provider: nodes without attributes. Field numbers
 * are those of onnx.proto3 (github.com/onnx/onnx); anything larger is built in models/onnx.
 */
import { DTYPES, type DType } from '../onnx/dtype.ts';

interface TinyValue {
  readonly name: string;
  /** A string is a symbolic dimension. */
  readonly shape: readonly (number | string)[];
  /** Default float32. */
  readonly dtype?: DType;
}

/** A float32 constant: its values, or where they lie in a file. */
interface TinyWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values?: readonly number[];
  readonly external?: { readonly location: string; readonly offset: number; readonly length: number };
}

export interface TinyModel {
  readonly nodes: readonly {
    readonly op: string;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
  }[];
  readonly inputs: readonly TinyValue[];
  readonly outputs: readonly TinyValue[];
  readonly weights?: readonly TinyWeight[];
}

const IR_VERSION = 8;
const OPSET = 17;
/** TensorProto.DataLocation */
const EXTERNAL = 1;

/** The model serialised. */
export function encodeTinyModel({ nodes, inputs, outputs, weights = [] }: TinyModel): Uint8Array {
  const graph = [
    ...nodes.map((node) =>
      message(1, [
        ...node.inputs.map((name) => text(1, name)),
        ...node.outputs.map((name) => text(2, name)),
        text(4, node.op),
      ]),
    ),
    text(2, 'tiny'),
    ...weights.map((weight) => message(5, tensor(weight))),
    ...inputs.map((value) => message(11, valueInfo(value))),
    ...outputs.map((value) => message(12, valueInfo(value))),
  ];
  return concatenate([integer(1, IR_VERSION), message(7, graph), message(8, [integer(2, OPSET)])]);
}

function tensor({ name, shape, values = [], external }: TinyWeight): Uint8Array[] {
  const head = [...shape.map((size) => integer(1, size)), integer(2, DTYPES.float32.onnx), text(8, name)];
  if (external === undefined) return [...head, bytes(9, new Uint8Array(Float32Array.from(values).buffer))];
  const place = Object.entries(external).map(([key, value]) => message(13, [text(1, key), text(2, String(value))]));
  return [...head, ...place, integer(14, EXTERNAL)];
}

function valueInfo({ name, shape, dtype = 'float32' }: TinyValue): Uint8Array[] {
  const dims = shape.map((dim) => message(1, [typeof dim === 'number' ? integer(1, dim) : text(2, dim)]));
  return [text(1, name), message(2, [message(1, [integer(1, DTYPES[dtype].onnx), message(2, dims)])])];
}

function message(field: number, parts: readonly Uint8Array[]): Uint8Array {
  return bytes(field, concatenate(parts));
}

function text(field: number, value: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(value));
}

/** Wire type 2: a length, then that many bytes. */
function bytes(field: number, value: Uint8Array): Uint8Array {
  return concatenate([varint(field * 8 + 2), varint(value.length), value]);
}

/** Wire type 0. */
function integer(field: number, value: number): Uint8Array {
  return concatenate([varint(field * 8), varint(value)]);
}

function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) out.push((rest % 128) | 0x80);
  out.push(rest);
  return Uint8Array.from(out);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
