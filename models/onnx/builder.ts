/**
 * @file Appends nodes to a graph. Every node is inferred as it is added, so a mistake is reported where it is made; names
 * are paths of the open scopes; contents of small integer tensors (shapes) are followed, as numbers or as symbols.
 */
import { RefereeError } from '../../errors.ts';
import type { DType, Tensor } from './dtype.ts';
import { int64, scalar } from './dtype.ts';
import { AttributeReader, OPSET } from './graph.ts';
import type { Attributes, ByteRange, Graph, Initializer, Node, Value } from './graph.ts';
import { inferNode } from './infer.ts';
import type { Dim, Shape } from './shapes.ts';
import { dimProduct, isUnknown } from './shapes.ts';

/** Constants up to this many elements are shared when their contents are equal. */
const SHARED_CONSTANT_ELEMENTS = 64;

export class GraphBuilder {
  readonly name: string;
  readonly #inputs: Value[] = [];
  readonly #outputs: Value[] = [];
  readonly #initializers: Initializer[] = [];
  readonly #nodes: Node[] = [];
  readonly #scopes: string[] = [];
  readonly #names = new Map<string, number>();
  readonly #constants = new Map<Value, Tensor>();
  readonly #sharedConstants = new Map<string, Value>();
  readonly #weights = new Map<string, Value>();
  readonly #dims = new Map<Value, readonly Dim[]>();
  readonly #symbolSources = new Map<string, { readonly value: Value; readonly axis: number }>();

  constructor(name: string) {
    this.name = name;
  }

  /** A builder that goes on where a finished graph ends: its values keep their identity. Outputs are not taken over. */
  static from(graph: Graph): GraphBuilder {
    const builder = new GraphBuilder(graph.name);
    for (const input of graph.inputs) builder.#adoptInput(input);
    for (const initializer of graph.initializers) builder.#adoptInitializer(initializer);
    for (const node of graph.nodes) builder.#adoptNode(node);
    return builder;
  }

  /** The nodes so far, in an order in which they can be executed. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  get inputs(): readonly Value[] {
    return this.#inputs;
  }

  get outputs(): readonly Value[] {
    return this.#outputs;
  }

  /** An input of the graph. A string in `shape` is a symbolic dimension: equal names are equal sizes. */
  input(name: string, dtype: DType, shape: Shape): Value {
    if (this.#names.has(name))
      throw new RefereeError('InvalidModel', `graph ${this.name}: input "${name}" is declared twice`);
    const value: Value = { name, dtype, shape };
    this.#adoptInput(value);
    return value;
  }

  /** A value that is known now. Small equal constants become one. */
  constant(tensor: Tensor, name = 'constant'): Value {
    const isSmall = tensor.data.length <= SHARED_CONSTANT_ELEMENTS;
    const key = isSmall ? `${tensor.dtype}[${tensor.shape.join(',')}]${contents(tensor)}` : '';
    const known = isSmall ? this.#sharedConstants.get(key) : undefined;
    if (known) return known;
    const value: Value = { name: this.#unique(this.#path(name)), dtype: tensor.dtype, shape: tensor.shape };
    this.#adoptInitializer({ value, data: tensor });
    if (isSmall) this.#sharedConstants.set(key, value);
    return value;
  }

  /** A scalar constant of the same type as `like`. */
  scalar(value: number, like: DType = 'float32'): Value {
    if (like !== 'float32' && like !== 'float64' && like !== 'int64' && like !== 'int32') {
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
    const value: Value = { name: this.#unique(name), dtype, shape };
    this.#adoptInitializer({ value, external });
    this.#weights.set(name, value);
    return value;
  }

  /** Appends one node and returns its outputs. Types and shapes are inferred; `outputs` is their number. */
  node(op: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, outputs = 1): Value[] {
    const name = this.#unique(this.#path(op));
    const trimmed = [...inputs];
    while (trimmed.length > 0 && trimmed[trimmed.length - 1] === undefined) trimmed.pop();
    const where = `node ${name} (${op})`;
    const inferred = inferNode({
      op,
      where,
      inputs: trimmed,
      attributes: new AttributeReader(attributes, where),
      outputs,
      constant: (value) => this.constantOf(value),
      dims: (value) => this.dimsOf(value),
    });
    const values = inferred.map(({ dtype, shape, dims }, at): Value => {
      const value: Value = { name: at === 0 ? `${name}:0` : `${name}:${at}`, dtype, shape };
      if (dims) this.#dims.set(value, dims);
      this.#noteSymbols(value);
      return value;
    });
    this.#nodes.push({ name, op, domain: '', inputs: trimmed, outputs: values, attributes });
    return values;
  }

  /** Declares `value` an output of the graph under `name`. */
  output(name: string, value: Value): Value {
    if (this.#outputs.some((output) => output.name === name)) {
      throw new RefereeError('InvalidModel', `graph ${this.name}: output "${name}" is declared twice`);
    }
    if (this.#names.has(name))
      throw new RefereeError('InvalidModel', `graph ${this.name}: the name "${name}" is taken`);
    this.#names.set(name, 1);
    const named: Value = { name, dtype: value.dtype, shape: value.shape };
    this.#nodes.push({
      name: this.#unique(`${name}/Identity`),
      op: 'Identity',
      domain: '',
      inputs: [value],
      outputs: [named],
      attributes: {},
    });
    this.#outputs.push(named);
    return named;
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

  /** The contents of a value that is a constant of the graph, else undefined. */
  constantOf(value: Value): Tensor | undefined {
    return this.#constants.get(value);
  }

  /** The elements of an integer vector, as far as they are known as numbers or symbols. */
  dimsOf(value: Value): readonly Dim[] | undefined {
    return this.#dims.get(value);
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
    const whole = this.#symbolSources.get(dim);
    if (whole) return this.#axisSize(whole.value, whole.axis);
    const factors = dim.split('*').map((factor): Value => {
      const number = Number(factor);
      if (Number.isInteger(number)) return this.int64([number]);
      const source = this.#symbolSources.get(factor);
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

  #adoptInput(value: Value): void {
    this.#names.set(value.name, 1);
    this.#inputs.push(value);
    this.#noteSymbols(value);
  }

  #adoptInitializer(initializer: Initializer): void {
    const { value, data } = initializer;
    this.#names.set(value.name, this.#names.get(value.name) ?? 1);
    this.#initializers.push(initializer);
    if (!data) return;
    this.#constants.set(value, data);
    const isInteger = data.dtype === 'int64' || data.dtype === 'int32';
    if (isInteger && data.shape.length <= 1 && data.data.length <= SHARED_CONSTANT_ELEMENTS) {
      this.#dims.set(value, Array.from(data.data as BigInt64Array | Int32Array, Number));
    }
  }

  #adoptNode(node: Node): void {
    this.#names.set(node.name, this.#names.get(node.name) ?? 1);
    const where = `node ${node.name} (${node.op})`;
    const inferred = inferNode({
      op: node.op,
      where,
      inputs: node.inputs,
      attributes: new AttributeReader(node.attributes, where),
      outputs: node.outputs.length,
      constant: (value) => this.constantOf(value),
      dims: (value) => this.dimsOf(value),
    });
    node.outputs.forEach((output, at) => {
      this.#names.set(output.name, this.#names.get(output.name) ?? 1);
      const dims = inferred[at]?.dims;
      if (dims) this.#dims.set(output, dims);
      this.#noteSymbols(output);
    });
    this.#nodes.push(node);
  }

  #noteSymbols(value: Value): void {
    value.shape.forEach((dim, axis) => {
      if (typeof dim === 'string' && !this.#symbolSources.has(dim) && (isUnknown(dim) || dim === dimProduct([dim]))) {
        this.#symbolSources.set(dim, { value, axis });
      }
    });
  }

  #path(name: string): string {
    return this.#scopes.length === 0 ? name : `/${this.#scopes.join('/')}/${name}`;
  }

  #unique(name: string): string {
    const count = this.#names.get(name);
    if (count === undefined) {
      this.#names.set(name, 1);
      return name;
    }
    this.#names.set(name, count + 1);
    return this.#unique(`${name}_${count}`);
  }
}

function contents(tensor: Tensor): string {
  // Bytes, not numbers: 0 and -0, and the payloads of NaN, are different constants.
  const { data } = tensor;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).join(',');
}
