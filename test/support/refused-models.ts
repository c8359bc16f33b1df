/**
 * @file Models of a pack with a piece added that onnxruntime refuses, for real and by itself alone: nothing else of the process
 * has to suffer for it.
 */
import { truncateSync, writeFileSync } from 'node:fs';

import type { Tensor } from '../../models/onnx/dtype.ts';
import { float32, int64 } from '../../models/onnx/dtype.ts';
import type { Attributes, Graph, Initializer, Node, Value } from '../../models/onnx/graph.ts';
import { int } from '../../models/onnx/graph.ts';
import { readModel, writeModel } from '../../models/onnx/protobuf.ts';
import type { Shape } from '../../models/onnx/shapes.ts';

export type Refusal =
  /** No memory when the session is loaded: a weight of 4 TB, from a file that holds nothing, is packed for a product. */
  | 'load'
  /** No memory in a step of more than one search, which asks for more bytes than a processor can address. */
  | 'lanes'
  /** No memory in any step. */
  | 'step'
  /** A node whose type has no kernel. */
  | 'kernel'
  /** A node that fails when it runs. */
  | 'node';

const SIDE = 2 ** 20;

/**
 * @param model with the output "gradient", which is the same where nothing is refused
 * @param file for the weight that is too large
 */
export function refusedModel(model: Uint8Array, how: Refusal, file: string): Uint8Array {
  const piece = new Piece(readModel(model, { folder: '/' }));
  switch (how) {
    case 'load': {
      writeFileSync(file, '');
      truncateSync(file, 4 * SIDE * SIDE);
      const w = piece.weight([SIDE, SIDE], { file, offset: 0, length: 4 * SIDE * SIDE });
      const row = piece.node('Expand', [piece.lane(), piece.constant(int64([1, SIDE]))], [1, SIDE]);
      return piece.add(piece.sum(piece.node('MatMul', [row, w], [1, SIDE])));
    }
    case 'lanes':
    case 'step': {
      const lanes = piece.node('Shape', [piece.latents], [1], 'int64', { start: int(0), end: int(1) });
      const more = how === 'step' ? lanes : piece.node('Sub', [lanes, piece.constant(int64([1]))], [1], 'int64');
      const sizes = piece.node('Mul', [more, piece.constant(int64([2 ** 24, 2 ** 24]))], [2], 'int64');
      return piece.add(piece.sum(piece.node('Expand', [piece.constant(float32([0], [1])), sizes], ['vast', 'vaster'])));
    }
    case 'kernel': {
      const precise = piece.node('Cast', [piece.gradient], piece.gradient.shape, 'float64', { to: int(11) });
      const elu = piece.node('Elu', [precise], precise.shape, 'float64');
      return piece.add(piece.node('Cast', [elu], elu.shape, 'float32', { to: int(1) }));
    }
    case 'node': {
      const at = piece.constant(int64([2 ** 30]));
      return piece.add(piece.sum(piece.node('Gather', [piece.gradient, at], [1, 1, 1, 1])));
    }
  }
}

class Piece {
  readonly #graph: Graph;
  readonly #nodes: Node[] = [];
  readonly #initializers: Initializer[] = [];
  /** Of the model as it was. */
  readonly gradient: Value;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.gradient = { ...graph.outputs.find(({ name }) => name === 'gradient')!, name: 'gradient.sound' };
  }

  get latents(): Value {
    return this.#graph.inputs.find(({ name }) => name === 'latents')!;
  }

  /** An element that only run time knows. */
  lane(): Value {
    return this.node('ReduceMax', [this.latents], [1, 1, 1, 1]);
  }

  constant(data: Tensor): Value {
    const value = { name: `refused.${this.#initializers.length}`, dtype: data.dtype, shape: data.shape };
    this.#initializers.push({ value, data });
    return value;
  }

  weight(shape: readonly number[], external: NonNullable<Initializer['external']>): Value {
    const value: Value = { name: 'refused.weight', dtype: 'float32', shape };
    this.#initializers.push({ value, external });
    return value;
  }

  node(
    op: string,
    inputs: readonly Value[],
    shape: Shape,
    dtype: Value['dtype'] = 'float32',
    attributes: Attributes = {},
  ): Value {
    const name = `/refused/${op}_${this.#nodes.length}`;
    const output = { name: `${name}:0`, dtype, shape };
    this.#nodes.push({ name, op, domain: '', inputs, outputs: [output], attributes });
    return output;
  }

  sum(x: Value): Value {
    return this.node('ReduceSum', [x], [], 'float32', { keepdims: int(0) });
  }

  /** The model whose gradient is its own and `more`. */
  add(more: Value): Uint8Array {
    const { nodes, initializers, outputs } = this.#graph;
    const before = outputs.find(({ name }) => name === 'gradient')!;
    const renamed = <T extends Value | undefined>(value: T): T | Value => (value === before ? this.gradient : value);
    const sound = nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(renamed),
      outputs: node.outputs.map((output) => renamed(output)),
    }));
    const sum: Node = {
      ...{ name: '/refused/Add', op: 'Add', domain: '', attributes: {} },
      inputs: [this.gradient, more],
      outputs: [before],
    };
    return writeModel({
      ...this.#graph,
      nodes: [...sound, ...this.#nodes, sum],
      initializers: [...initializers, ...this.#initializers],
    });
  }
}
