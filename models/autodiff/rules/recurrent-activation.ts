/**
 * @file Activations of recurrent layers, by their names in the attribute `activations`, with the clipping of what goes in.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import type { RuleContext } from '../rule.ts';
import { missingRule } from '../rule.ts';
import { keepWhere } from '../select.ts';

/** What an activation makes of all steps at once, and its derivative there. */
export interface Gate {
  readonly value: Value;
  readonly slope: Value;
}

type Activation = (b: GraphBuilder, input: Value) => Gate;

const complement = (b: GraphBuilder, x: Value): Value => op.sub(b, b.scalar(1, x.dtype), x);

/** Names are compared without case, as onnxruntime does. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  sigmoid: (b, input) => {
    const value = op.sigmoid(b, input);
    return { value, slope: op.mul(b, value, complement(b, value)) };
  },
  tanh: (b, input) => {
    const value = op.tanh(b, input);
    return { value, slope: complement(b, op.mul(b, value, value)) };
  },
  relu: (b, input) => {
    const value = op.relu(b, input);
    return { value, slope: op.cast(b, op.greater(b, value, b.scalar(0, value.dtype)), value.dtype) };
  },
};

interface Wanted {
  /** Names where the node says nothing. */
  readonly defaults: readonly string[];
  readonly directions: number;
}

/** The activations of each direction. One that has no derivative here is an error that names the node. */
export function activationsOf({ node, attributes }: RuleContext, { defaults, directions }: Wanted): Activation[][] {
  const names = attributes.strings('activations') ?? Array.from({ length: directions }, () => defaults).flat();
  if (names.length !== directions * defaults.length) {
    throw missingRule(node, 0, `${names.length} activations, expected ${directions * defaults.length}`);
  }
  const clip = attributes.has('clip') ? attributes.float('clip', 0) : undefined;
  const found = names.map((name, at): Activation => {
    const activation = Object.hasOwn(ACTIVATIONS, name.toLowerCase()) && ACTIVATIONS[name.toLowerCase()];
    if (!activation) throw missingRule(node, 0, `activation "${name}", expected Sigmoid, Tanh or Relu`);
    // The cell of an LSTM is no sum of products: its activation is not clipped.
    const isClipped = clip !== undefined && clip !== 0 && at % defaults.length < 2;
    return isClipped ? clipped(activation, clip) : activation;
  });
  return Array.from({ length: directions }, (_, at) => found.slice(at * defaults.length, (at + 1) * defaults.length));
}

function clipped(activation: Activation, bound: number): Activation {
  return (b, input) => {
    const { value, slope } = activation(b, op.clip(b, input, { min: -bound, max: bound }));
    const isInside = op.less(b, op.abs(b, input), b.scalar(bound, input.dtype));
    return { value, slope: keepWhere(b, isInside, slope) };
  };
}
