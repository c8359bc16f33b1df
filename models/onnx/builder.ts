/**
 * @file Appends nodes to a graph. Every node is inferred as it is added, so a mistake is reported where it is made; names
 * are paths of the open scopes; contents of small integer tensors (shapes) are followed, as numbers or as symbols.
 */
import { RefereeError, quoted } from '../../errors.ts';
import { canHaveDims, Contents } from './contents.ts';
import type { DType, Tensor } from './dtype.ts';
import { int64, isScalarType, scalar } from './dtype.ts';
import { AttributeReader, OPSET } from './graph.ts';
import type { Attributes, ByteRange, Graph, Initializer, Node, Value } from './graph.ts';
import { inferNode } from './infer.ts';
import type { Inferred } from './infer/rule.ts';
import { Names, nodeNames, valueNames } from './names.ts';
import type { Dim, Shape } from './shapes.ts';
import { sameShape } from './shapes.ts';
import { SymbolSources } from './symbol-sources.ts';

/** Constants up to this many elements are shared when their contents are equal. */
const SHARED_CONSTANT_ELEMENTS = 64;

const NO_ATTRIBUTES: Attributes = {};

/** A node under names of its own: those of a file, or of the graph that is being rewritten. */
export interface NamedNode {
  /** Changed if it is taken. */
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly (Value | undefined)[];
  /** Names of the outputs; an output that nobody reads may be undefined. */
  readonly outputs: readonly (string | undefined)[];
  readonly attributes: Attributes;
}

/** A weight that stays where it is. */
export interface Weight {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly external: ByteRange;
}

export class GraphBuilder {
  readonly name: string;
  readonly #inputs: Value[] = [];
  readonly #outputs = new Set<Value>();
  readonly #initializers: Initializer[] = [];
  readonly #nodes: Node[] = [];
  readonly #scopes: string[] = [];
  /** Nodes and values have names of their own each, as in ONNX. */
  readonly #nodeNames = new Names();
  readonly #valueNames = new Names();
  readonly #contents = new Contents();
  readonly #sharedConstants = new Map<string, Value>();
  readonly #weights = new Map<string, Value>();
  readonly #symbols = new SymbolSources();

  constructor(name: string) {
    this.name = name;
  }

  /** A builder that goes on where a finished graph ends: its values keep their identity. Outputs are not taken over. */
  static from(graph: Graph): GraphBuilder {
    const builder = new GraphBuilder(graph.name);
    for (const input of graph.inputs) builder.keepInput(input);
    for (const initializer of graph.initializers) builder.keepInitializer(initializer);
    for (const node of graph.nodes) builder.keepNode(node);
    return builder;
  }

  /** A builder that makes a graph anew: its values and nodes may be kept, and their names are kept free for them. */
  static anew(graph: Graph): GraphBuilder {
    const builder = new GraphBuilder(graph.name);
    builder.#valueNames.reserveLater(valueNames(graph));
    builder.#nodeNames.reserveLater(nodeNames(graph));
    return builder;
  }

  /** Keeps names free for values and nodes that are still to come under exactly these. */
  reserve(values: Iterable<string>, nodes: Iterable<string> = []): void {
    this.#valueNames.reserve(values);
    this.#nodeNames.reserve(nodes);
  }

  /** The nodes so far, in an order in which they can be executed. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  get inputs(): readonly Value[] {
    return this.#inputs;
  }

  get outputs(): readonly Value[] {
    return [...this.#outputs];
  }

  /** An input of the graph. A string in `shape` is a symbolic dimension: equal names are equal sizes. */
  input(name: string, dtype: DType, shape: Shape): Value {
    this.#claim(name);
    return this.#open({ name, dtype, shape });
  }

  /** An input of another graph, as it is. */
  keepInput(value: Value): Value {
    this.#keep(value.name);
    return this.#open(value);
  }

  /** A value that is known now. Small equal constants become one. */
  constant(tensor: Tensor, name = 'constant'): Value {
    const isSmall = tensor.data.length <= SHARED_CONSTANT_ELEMENTS;
    const key = isSmall ? `${tensor.dtype}[${tensor.shape.join(',')}]${contents(tensor)}` : '';
    const known = isSmall ? this.#sharedConstants.get(key) : undefined;
    if (known) return known;
    const unique = this.#valueNames.unique(this.#path(name));
    const value: Value = { name: unique, dtype: tensor.dtype, shape: tensor.shape };
    this.#initialize({ value, data: tensor });
    if (isSmall) this.#sharedConstants.set(key, value);
    return value;
  }

  /** A constant under exactly this name. */
  namedConstant(name: string, tensor: Tensor): Value {
    this.#claim(name);
    return this.#initialize({ value: { name, dtype: tensor.dtype, shape: tensor.shape }, data: tensor });
  }

  /** A scalar constant of the same type as `like`. */
  scalar(value: number, like: DType = 'float32'): Value {
    if (!isScalarType(like)) {
      throw new RefereeError('InvalidModel', `graph ${this.name}: no scalar constants of type ${like}`);
    }
    return this.constant(scalar(value, like));
  }

  /** An int64 vector constant. */
  int64(values: readonly number[]): Value {
    return this.constant(int64(values));
  }

  /** A weight that stays where it is: bytes of a file. Asked for twice under one name it is the same value. */
  weight(name: string, dtype: DType, shape: readonly number[], external: ByteRange): Value {
    const known = this.#weights.get(name);
    if (known) return known;
    const value: Value = { name: this.#valueNames.unique(name), dtype, shape };
    this.#initialize({ value, external });
    this.#weights.set(name, value);
    return value;
  }

  /** A weight under exactly this name. */
  namedWeight(name: string, { dtype, shape, external }: Weight): Value {
    this.#claim(name);
    return this.#initialize({ value: { name, dtype, shape }, external });
  }

  /** A constant or weight of another graph, as it is. */
  keepInitializer(initializer: Initializer): Value {
    this.#keep(initializer.value.name);
    return this.#initialize(initializer);
  }

  /** Appends one node and returns its outputs. Types and shapes are inferred; `outputs` is their number. */
  node(op: string, inputs: readonly (Value | undefined)[], attributes = NO_ATTRIBUTES, outputs = 1): Value[] {
    const name = this.#nodeNames.unique(this.#path(op));
    const names = Array.from({ length: outputs }, (_, at) => this.#valueNames.unique(`${name}:${at}`));
    return this.#append(name, op, inputs, names, attributes);
  }

  /** Appends a node whose outputs keep the names that it brings. */
  namedNode({ name, op, inputs, outputs, attributes }: NamedNode): Value[] {
    const unique = this.#nodeNames.take(name) ? name : this.#nodeNames.unique(name);
    for (const output of outputs) if (output !== undefined) this.#claim(output);
    const names = outputs.map((output, at) => output ?? this.#valueNames.unique(`${unique}:${at}`));
    return this.#append(unique, op, inputs, names, attributes);
  }

  /**
   * Appends a node of another graph as it is. Its outputs must be what inference says of its inputs here: they keep their
   * identity, and only elements of vectors that may be shapes are inferred again.
   */
  keepNode(node: Node): readonly Value[] {
    const isFree = this.#nodeNames.keep(node.name);
    for (const output of node.outputs) this.#keep(output.name);
    if (node.outputs.some(canHaveDims)) {
      const inferred = this.#infer(node, node.outputs.length);
      node.outputs.forEach((output, at) => this.#contents.noteDims(output, inferred[at]!.dims));
    }
    return this.#add(isFree ? node : { ...node, name: this.#nodeNames.unique(node.name) });
  }

  /** Declares `value` an output of the graph under `name`. */
  output(name: string, value: Value): Value {
    const [named] = this.namedNode({
      name: `${name}/Identity`,
      op: 'Identity',
      inputs: [value],
      outputs: [name],
      attributes: {},
    });
    this.#outputs.add(named!);
    return named!;
  }

  /** Declares `value` an output of the graph under the name that it has. */
  outputAsNamed(value: Value): void {
    if (this.#outputs.has(value)) {
      throw new RefereeError('InvalidModel', `graph ${this.name}: output "${value.name}" is declared twice`);
    }
    this.#outputs.add(value);
  }

  /** Nodes appended by `append` are named below `name`. */
  scope<T>(name: string, append: () => T): T {
    this.#scopes.push(name);
    try {
      return append();
    } finally {
      this.#scopes.pop();
    }
  }

  /** The contents of a value that are known now: of a constant, or of a small one computed from constants and sizes. */
  constantOf(value: Value): Tensor | undefined {
    return this.#contents.constant(value);
  }

  /** Whether the name is kept free for a value that is still to come. */
  isReserved(name: string): boolean {
    return this.#valueNames.isReserved(name);
  }

  /** The name itself, or one made from it that no value has; asked for again it is another one. */
  freeName(name: string): string {
    return this.#valueNames.free(name);
  }

  /** The elements of an integer vector, as far as they are known as numbers or symbols. */
  dimsOf(value: Value): readonly Dim[] | undefined {
    return this.#contents.dims(value);
  }

  /** Whether anything is known of the contents of a value. */
  knowsContents(value: Value): boolean {
    return this.#contents.isKnown(value);
  }

  /** An int64 vector with these sizes at run time; a constant where all of them are numbers. */
  shapeVector(dims: readonly Dim[]): Value {
    if (dims.every((dim) => typeof dim === 'number')) return this.int64(dims);
    const parts = dims.map((dim) => (typeof dim === 'number' ? this.int64([dim]) : this.#dimVector(dim)));
    return parts.length === 1 ? parts[0]! : this.node('Concat', parts, { axis: { type: 'int', value: 0 } })[0]!;
  }

  build(): Graph {
    return {
      name: this.name,
      opset: OPSET,
      inputs: [...this.#inputs],
      outputs: [...this.#outputs],
      initializers: [...this.#initializers],
      nodes: [...this.#nodes],
    };
  }

  /** One symbolic dimension as an int64 vector of length 1: its factors are read from values that have such an axis. */
  #dimVector(dim: string): Value {
    const whole = this.#symbols.of(dim);
    if (whole) return this.#axisSize(whole.value, whole.axis);
    const factors = dim.split('*').map((factor): Value => {
      const number = Number(factor);
      if (Number.isInteger(number)) return this.int64([number]);
      const source = this.#symbols.of(factor);
      if (!source)
        throw new RefereeError('InvalidModel', `graph ${this.name}: no value has an axis of size "${factor}"`);
      return this.#axisSize(source.value, source.axis);
    });
    return factors.reduce((product, factor) => this.node('Mul', [product, factor])[0]!);
  }

  #axisSize(value: Value, axis: number): Value {
    return this.node('Shape', [value], {
      start: { type: 'int', value: axis },
      end: { type: 'int', value: axis + 1 },
    })[0]!;
  }

  #append(
    name: string,
    op: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly string[],
    attributes: Attributes,
  ): Value[] {
    const given = inputs.slice(0, inputs.findLastIndex((input) => input !== undefined) + 1);
    const inferred = this.#infer({ name, op, inputs: given, attributes }, outputs.length);
    const values = inferred.map(({ dtype, shape, dims }, at): Value => {
      const value: Value = { name: outputs[at]!, dtype, shape: sharedShape(shape, given) };
      this.#contents.noteDims(value, dims);
      return value;
    });
    this.#add({ name, op, domain: '', inputs: given, outputs: values, attributes });
    return values;
  }

  #add(node: Node): readonly Value[] {
    for (const output of node.outputs) this.#symbols.add(output);
    this.#nodes.push(node);
    this.#contents.follow(node);
    return node.outputs;
  }

  #infer(
    { name, op, inputs, attributes }: Pick<Node, 'name' | 'op' | 'inputs' | 'attributes'>,
    outputs: number,
  ): readonly Inferred[] {
    const where = `node ${name} (${op})`;
    const inferred = inferNode({
      op,
      where,
      inputs,
      attributes: new AttributeReader(attributes, where),
      outputs,
      constant: this.#contents.constant,
      dims: this.#contents.dims,
    });
    if (inferred.length < outputs) {
      throw new RefereeError('InvalidModel', `${where}: ${outputs} outputs are asked for, it has ${inferred.length}`);
    }
    return inferred.slice(0, outputs);
  }

  #open(value: Value): Value {
    this.#inputs.push(value);
    this.#symbols.add(value);
    return value;
  }

  #initialize(initializer: Initializer): Value {
    this.#initializers.push(initializer);
    if (initializer.data) this.#contents.note(initializer.value, initializer.data);
    return initializer.value;
  }

  /** Takes a name that must be free. */
  #claim(name: string): void {
    if (!this.#valueNames.take(name)) throw this.#doubled(name);
  }

  /** Of a graph that is made anew, or goes on. */
  #keep(name: string): void {
    if (!this.#valueNames.keep(name)) throw this.#doubled(name);
  }

  #doubled(name: string): RefereeError {
    return new RefereeError('InvalidModel', `graph ${this.name}: two values have the name ${quoted(name)}`);
  }

  #path(name: string): string {
    return this.#scopes.length === 0 ? name : `/${this.#scopes.join('/')}/${name}`;
  }
}

/**
 * A shape that an input has already is that array, any other a list without room to grow: graphs of ten thousands of nodes
 * exist several times while they are rewritten, and lists of sizes were a third of what they took.
 */
function sharedShape(shape: Shape, inputs: readonly (Value | undefined)[]): Shape {
  return inputs.find((input) => input && sameShape(input.shape, shape))?.shape ?? shape.slice();
}

function contents(tensor: Tensor): string {
  // Bytes, not numbers: 0 and -0, and the payloads of NaN, are different constants.
  const { data } = tensor;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).join(',');
}
