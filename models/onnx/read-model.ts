/**
 * @file Bytes of an ONNX file -> graph: files that we wrote, and files of exporters as far as they stay with tensors and
 * ONNX's own operators. Names of values are kept; types and shapes are inferred anew, so that the graph is sound whatever
 * the file says; older operator sets are brought to ours, functions are inlined, branches that are known are taken.
 */
import { fromBinary } from '@bufbuild/protobuf';

import { RefereeError, isRefereeError, quoted } from '../../errors.ts';
import { GraphBuilder } from './builder.ts';
import type { DType } from './dtype.ts';
import { dtypeOf } from './dtype.ts';
import type { Graph } from './graph.ts';
import { FunctionInliner, versionOf } from './inline-functions.ts';
import type { GraphProto, ModelProto, ValueInfoProto } from './onnx_pb.ts';
import { ModelProtoSchema } from './onnx_pb.ts';
import { NodeReader, oneLine } from './read-nodes.ts';
import { sizeOf } from './read-tensor.ts';
import { Scope } from './scope.ts';
import type { Dim } from './shapes.ts';
import { FixedSizes } from './fixed-sizes.ts';
import { formatShape, isNamed, symbolFrom, unknownDim } from './shapes.ts';
import { NEWEST_OPSET, OLDEST_OPSET } from './upgrade.ts';

export interface ReadOptions {
  /** Begins every error message: the file. */
  readonly name?: string;
  /**
   * The model's folder, as an absolute path; external data must lie in it. Without it external data is an error. Links are
   * not followed here: resolve the ranges' files before anybody reads them.
   */
  readonly folder?: string;
  /**
   * Sizes of dimensions that the file leaves open: by symbol ("W"), or by input and axis ("image.3"). Also the value of an
   * input that is a single whole number or truth value ("sampling_rate"), which is no input of the graph then.
   */
  readonly sizes?: Readonly<Record<string, number>>;
}

/**
 * Reads a model. Weights inside the file become views of `bytes` where their alignment allows.
 *
 * @throws RefereeError `InvalidModel`, one line, for everything that is wrong or not supported, naming node or value
 */
export function readModel(bytes: Uint8Array, { name = 'model', folder, sizes = {} }: ReadOptions = {}): Graph {
  try {
    return new ModelReader(parse(bytes), { folder, sizes }).read();
  } catch (error) {
    // Texts of the file stand in messages: names, equations.
    if (isRefereeError(error)) {
      throw new RefereeError('InvalidModel', oneLine(`${name}: ${error.message}`), { cause: error });
    }
    throw error;
  }
}

function parse(bytes: Uint8Array): ModelProto {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new RefereeError('InvalidModel', `not an ONNX file, or cut off: ${bytes.length} bytes`, { cause });
  }
  if (!model.graph || model.irVersion < 3n || model.irVersion > 100n) {
    throw new RefereeError('InvalidModel', 'not an ONNX file: it has no graph or no version');
  }
  return model;
}

class ModelReader {
  readonly #graph: GraphProto;
  readonly #nodes: NodeReader;
  readonly #builder: GraphBuilder;
  readonly #values = new Scope();
  /** One unknown dimension for each name that cannot be a symbol. */
  readonly #symbols = new Map<string, Dim>();
  readonly #sizes: FixedSizes;

  constructor(
    model: ModelProto,
    { folder, sizes }: Required<Pick<ReadOptions, 'sizes'>> & { folder: string | undefined },
  ) {
    this.#sizes = new FixedSizes(sizes);
    this.#graph = model.graph!;
    this.#builder = new GraphBuilder(oneLine(this.#graph.name) || 'graph');
    this.#nodes = new NodeReader(this.#builder, { opset: opsetOf(model), inliner: new FunctionInliner(model), folder });
  }

  read(): Graph {
    const graph = this.#graph;
    if (graph.sparseInitializer.length > 0) {
      throw new RefereeError('InvalidModel', 'sparse initializers are not supported');
    }
    this.#builder.reserve(
      [...graph.input, ...graph.initializer].map(({ name }) => name).concat(graph.node.flatMap(({ output }) => output)),
    );
    const initialized = new Set(graph.initializer.map((tensor) => tensor.name));
    // Before version 4 of the format initializers had to be listed as inputs, too.
    for (const input of graph.input) if (!initialized.has(input.name)) this.#readInput(input);
    this.#sizes.checkUsed();
    this.#nodes.readInitializers(graph.initializer, this.#values);
    this.#nodes.readNodes(graph.node, this.#values);
    for (const output of graph.output) this.#readOutput(output);
    if (graph.output.length === 0) throw new RefereeError('InvalidModel', 'the graph has no outputs');
    return this.#builder.build();
  }

  #readInput(info: ValueInfoProto): void {
    const where = `input ${quoted(info.name)}`;
    if (info.name === '') throw new RefereeError('InvalidModel', 'an input has no name');
    const { dtype, shape } = this.#readType(info, where);
    if (!shape)
      throw new RefereeError('InvalidModel', `${where}: its shape must be given, at least the number of axes`);
    const fixed = shape.map((dim, axis) => this.#sizes.ofAxis(info.name, axis, dim));
    const value = this.#sizes.ofInput(info.name, dtype, fixed);
    this.#values.set(
      info.name,
      value ? this.#builder.namedConstant(info.name, value) : this.#builder.input(info.name, dtype, fixed),
    );
  }

  #readType(info: ValueInfoProto, where: string): { dtype: DType; shape: Dim[] | undefined } {
    const type = info.type?.value;
    if (type?.case !== 'tensorType') {
      throw new RefereeError('InvalidModel', `${where}: type ${type?.case ?? 'missing'}, only tensors are supported`);
    }
    const dtype = dtypeOf(type.value.elemType);
    if (!dtype)
      throw new RefereeError('InvalidModel', `${where}: element type ${type.value.elemType} is not supported`);
    const shape = type.value.shape?.dim.map(({ value: dim }): Dim => {
      // Some exporters write -1 for a size that run time tells.
      if (dim.case === 'dimValue') return dim.value === -1n ? unknownDim() : sizeOf(dim.value, where);
      return dim.case === 'dimParam' ? this.#symbol(dim.value) : unknownDim();
    });
    return { dtype, shape };
  }

  #symbol(name: string): Dim {
    if (!isNamed(name)) return unknownDim();
    const known = this.#symbols.get(name);
    if (known !== undefined) return known;
    const dim = this.#sizes.ofSymbol(name) ?? symbolFrom(name) ?? unknownDim();
    this.#symbols.set(name, dim);
    return dim;
  }

  #readOutput(info: ValueInfoProto): void {
    const where = `output ${quoted(info.name)}`;
    const value = this.#values.get(info.name);
    if (!value) throw new RefereeError('InvalidModel', `${where}: no node makes it`);
    if (info.type) {
      const { dtype, shape } = this.#readType(info, where);
      const fits =
        dtype === value.dtype &&
        (!shape ||
          (shape.length === value.shape.length && shape.every((dim, axis) => canBeEqual(dim, value.shape[axis]!))));
      if (!fits) {
        throw new RefereeError(
          'InvalidModel',
          `${where}: declared as ${dtype}${shape ? formatShape(shape) : ''}, ` +
            `the nodes make ${value.dtype}${formatShape(value.shape)}`,
        );
      }
    }
    this.#builder.outputAsNamed(value);
  }
}

function canBeEqual(a: Dim, b: Dim): boolean {
  return typeof a === 'string' || typeof b === 'string' || a === b;
}

function opsetOf(model: ModelProto): number {
  const version = versionOf(model.opsetImport);
  if (version < OLDEST_OPSET || version > NEWEST_OPSET) {
    throw new RefereeError('InvalidModel', `operator set ${version}, expected ${OLDEST_OPSET} to ${NEWEST_OPSET}`);
  }
  return version;
}
