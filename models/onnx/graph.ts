/**
 * @file A graph as data: values, nodes, weights. Everything else in this room builds, checks, rewrites, prints or stores
 * it. Nodes stand in an order in which they can be executed; names are unique within a graph.
 */
import { RefereeError } from '../../errors.ts';
import type { DType, Tensor } from './dtype.ts';
import type { Shape } from './shapes.ts';

/** One tensor that flows through a graph. Its identity is the object; its name is for people and for the file. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** An attribute with its ONNX type: a whole number alone does not tell `int` from `float`. */
export type Attribute =
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'tensor'; readonly value: Tensor };

export type Attributes = Readonly<Record<string, Attribute>>;

export interface Node {
  /** A path such as "/decoder/mid_block/attentions.0/to_q/MatMul_12". */
  readonly name: string;
  /** ONNX operator type. */
  readonly op: string;
  /** "" is ONNX's own operator set. */
  readonly domain: string;
  /** An omitted optional input is undefined. */
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

/** Bytes of another file that hold a weight: nothing is copied, whatever the size of the checkpoint. */
export interface ByteRange {
  /** Absolute path. */
  readonly file: string;
  /** First byte, from the start of the file. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
}

/** A value that is known before run time: held in the graph, or read from a byte range of a file. */
export type Initializer =
  | { readonly value: Value; readonly data: Tensor; readonly external?: undefined }
  | { readonly value: Value; readonly external: ByteRange; readonly data?: undefined };

export interface Graph {
  readonly name: string;
  /** Version of ONNX's operator set. */
  readonly opset: number;
  /** One that is an initializer as well has its value by default, and is no constant: a run may give another. */
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly initializers: readonly Initializer[];
  readonly nodes: readonly Node[];
}

/** Version of the operator set that we write. */
export const OPSET = 21;

export const int = (value: number): Attribute => ({ type: 'int', value });
export const float = (value: number): Attribute => ({ type: 'float', value });
export const text = (value: string): Attribute => ({ type: 'string', value });
export const ints = (value: readonly number[]): Attribute => ({ type: 'ints', value });

/** Typed reading of a node's attributes, with ONNX's default where one is absent. */
export class AttributeReader {
  readonly #attributes: Attributes;
  readonly #where: string;

  constructor(attributes: Attributes, where: string) {
    this.#attributes = attributes;
    this.#where = where;
  }

  has(name: string): boolean {
    return name in this.#attributes;
  }

  int(name: string, fallback: number): number {
    const attribute = this.#attributes[name];
    if (attribute === undefined) return fallback;
    if (attribute.type !== 'int') throw this.#wrong(name, 'int', attribute.type);
    return attribute.value;
  }

  /** Also accepts an int: some exporters write whole floats so. */
  float(name: string, fallback: number): number {
    const attribute = this.#attributes[name];
    if (attribute === undefined) return fallback;
    if (attribute.type !== 'float' && attribute.type !== 'int') throw this.#wrong(name, 'float', attribute.type);
    return attribute.value;
  }

  string(name: string, fallback: string): string {
    const attribute = this.#attributes[name];
    if (attribute === undefined) return fallback;
    if (attribute.type !== 'string') throw this.#wrong(name, 'string', attribute.type);
    return attribute.value;
  }

  ints(name: string): readonly number[] | undefined {
    const attribute = this.#attributes[name];
    if (attribute === undefined) return undefined;
    if (attribute.type !== 'ints') throw this.#wrong(name, 'ints', attribute.type);
    return attribute.value;
  }

  floats(name: string): readonly number[] | undefined {
    const attribute = this.#attributes[name];
    if (attribute === undefined) return undefined;
    if (attribute.type !== 'floats') throw this.#wrong(name, 'floats', attribute.type);
    return attribute.value;
  }

  strings(name: string): readonly string[] | undefined {
    const attribute = this.#attributes[name];
    if (attribute === undefined) return undefined;
    if (attribute.type !== 'strings') throw this.#wrong(name, 'strings', attribute.type);
    return attribute.value;
  }

  tensor(name: string): Tensor | undefined {
    const attribute = this.#attributes[name];
    if (attribute === undefined) return undefined;
    if (attribute.type !== 'tensor') throw this.#wrong(name, 'tensor', attribute.type);
    return attribute.value;
  }

  #wrong(name: string, expected: string, found: string): RefereeError {
    return new RefereeError(
      'InvalidModel',
      `${this.#where}: attribute "${name}" must be of type ${expected}, found ${found}`,
    );
  }
}

/** value -> the node that makes it, over all nodes. */
export function producers(nodes: readonly Node[]): Map<Value, Node> {
  const made = new Map<Value, Node>();
  for (const node of nodes) for (const output of node.outputs) made.set(output, node);
  return made;
}

/** value -> the nodes that read it, each once, in their order. */
export function readersOf({ nodes }: Pick<Graph, 'nodes'>): Map<Value, Node[]> {
  const readers = new Map<Value, Node[]>();
  for (const node of nodes) {
    for (const input of new Set(node.inputs)) {
      if (!input) continue;
      const known = readers.get(input);
      if (known) known.push(node);
      else readers.set(input, [node]);
    }
  }
  return readers;
}
