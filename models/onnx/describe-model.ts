/**
 * @file What a model file says of itself, without building the graph: also for files with operators that the reader does
 * not know.
 */
import { fromBinary } from '@bufbuild/protobuf';

import { RefereeError } from '../../errors.ts';
import { dtypeOf } from './dtype.ts';
import type { ModelProto, ValueInfoProto } from './onnx_pb.ts';
import { ModelProtoSchema } from './onnx_pb.ts';
import { oneLine } from './read-nodes.ts';

export interface DescribedValue {
  readonly name: string;
  /** Element type, or what else the value is: "sequence". */
  readonly dtype: string;
  /** A dimension without number or name is "?"; undefined where not even the number of axes is said. */
  readonly shape: readonly (number | string)[] | undefined;
}

export interface ModelDescription {
  /** Program that wrote the file, with its version; '' if it does not say. */
  readonly producer: string;
  /** Version of ONNX's own operator set; 0 if the file names none. */
  readonly opset: number;
  /** Without those that are initializers. */
  readonly inputs: readonly DescribedValue[];
  readonly outputs: readonly DescribedValue[];
  readonly nodes: readonly { readonly name: string; readonly op: string; readonly domain: string }[];
  readonly initializers: number;
}

/** @throws RefereeError `InvalidModel` for bytes that are no ONNX file */
export function describeModel(bytes: Uint8Array): ModelDescription {
  const { graph, producerName, producerVersion, opsetImport } = parse(bytes);
  if (!graph) throw new RefereeError('InvalidModel', 'not an ONNX file: it has no graph');
  const initialized = new Set(graph.initializer.map(({ name }) => name));
  return {
    producer: oneLine(`${producerName} ${producerVersion}`).trim(),
    opset: Number(opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0n),
    inputs: graph.input.filter(({ name }) => !initialized.has(name)).map(describeValue),
    outputs: graph.output.map(describeValue),
    nodes: graph.node.map(({ name, opType, domain }) => ({
      name: oneLine(name),
      op: oneLine(opType),
      domain: oneLine(domain === 'ai.onnx' ? '' : domain),
    })),
    initializers: graph.initializer.length,
  };
}

function parse(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new RefereeError('InvalidModel', `not an ONNX file, or cut off: ${bytes.length} bytes`, { cause });
  }
}

function describeValue({ name, type }: ValueInfoProto): DescribedValue {
  const of = type?.value;
  if (of?.case !== 'tensorType') {
    return { name: oneLine(name), dtype: of?.case?.replace(/Type$/, '') ?? 'unknown', shape: undefined };
  }
  const shape = of.value.shape?.dim.map(({ value: dim }): number | string => {
    if (dim.case === 'dimValue') return Number(dim.value);
    return dim.case === 'dimParam' && dim.value !== '' ? oneLine(dim.value) : '?';
  });
  return { name: oneLine(name), dtype: dtypeOf(of.value.elemType) ?? `type ${of.value.elemType}`, shape };
}
