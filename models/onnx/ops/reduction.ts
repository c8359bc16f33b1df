/**
 * @file Reductions, cumulative sums, softmax and normalisations.
 */
import type { GraphBuilder } from '../builder.ts';
import type { Value } from '../graph.ts';
import { float, int } from '../graph.ts';

export function softmax(b: GraphBuilder, x: Value, axis = -1): Value {
  return b.node('Softmax', [x], { axis: int(axis) })[0]!;
}

export function logSoftmax(b: GraphBuilder, x: Value, axis = -1): Value {
  return b.node('LogSoftmax', [x], { axis: int(axis) })[0]!;
}

export function layerNormalization(
  b: GraphBuilder,
  x: Value,
  scale: Value,
  bias: Value | undefined,
  { axis = -1, epsilon = 1e-5 }: { axis?: number; epsilon?: number } = {},
): Value {
  return b.node('LayerNormalization', [x, scale, bias], { axis: int(axis), epsilon: float(epsilon) })[0]!;
}

/** Scale and bias per channel, as since operator set 21. */
export function groupNormalization(
  b: GraphBuilder,
  x: Value,
  scale: Value,
  bias: Value,
  { numGroups, epsilon = 1e-5 }: { numGroups: number; epsilon?: number },
): Value {
  return b.node('GroupNormalization', [x, scale, bias], { num_groups: int(numGroups), epsilon: float(epsilon) })[0]!;
}

interface ReduceOptions {
  /** All axes if absent. An empty list reduces nothing. */
  readonly axes?: readonly number[];
  readonly keepdims?: boolean;
}

const reduction =
  (op: string) =>
  (b: GraphBuilder, x: Value, { axes, keepdims = true }: ReduceOptions = {}): Value => {
    if (axes?.length === 0) return x;
    return b.node(op, [x, axes && b.int64(axes)], { keepdims: int(keepdims ? 1 : 0) })[0]!;
  };

export const reduceSum = reduction('ReduceSum');
export const reduceMean = reduction('ReduceMean');
export const reduceMax = reduction('ReduceMax');
export const reduceMin = reduction('ReduceMin');
export const reduceL2 = reduction('ReduceL2');

export function cumSum(b: GraphBuilder, x: Value, axis: number, { exclusive = false, reverse = false } = {}): Value {
  return b.node('CumSum', [x, b.scalar(axis, 'int64')], {
    exclusive: int(exclusive ? 1 : 0),
    reverse: int(reverse ? 1 : 0),
  })[0]!;
}
