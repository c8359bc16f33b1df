/**
 * @file Adding elements at positions: the way back of every operator that takes elements by their index. Positions may
 * repeat.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { normalAxis } from '../onnx/shapes.ts';
import { reshapeLike, sizesOf } from './sizes.ts';

interface Along {
  /** int64 [k]; negative ones count from the end. */
  readonly positions: Value;
  readonly axis: number;
  /** Gives the shape of the result. */
  readonly like: Value;
}

/**
 * Zeros in the shape of `like`, to which slice i of `g` along `axis` (of size k) is added at position `positions[i]`: the
 * adjoint of Gather along an axis.
 */
export function addAlongAxis(b: GraphBuilder, g: Value, { positions, axis, like }: Along): Value {
  const at = normalAxis(axis, like.shape.length, `cotangent of ${like.name}`);
  const toFront = [at, ...like.shape.flatMap((_, other) => (other === at ? [] : [other]))];
  const back = toFront.map((_, to) => toFront.indexOf(to));
  const zeros = op.expandTo(b, b.scalar(0, g.dtype), sizesOf(b, like, toFront));
  const rows = at === 0 ? g : op.transpose(b, g, toFront);
  const sum = op.scatterNd(b, zeros, op.unsqueeze(b, positions, [1]), rows, 'add');
  return at === 0 ? sum : op.transpose(b, sum, back);
}

/** 0, 1, 2 ... in the shape of `x`: what an operator that moves elements does to it tells where each one came from. */
export function flatPositions(b: GraphBuilder, x: Value): Value {
  const [zero, one] = [b.scalar(0, 'int64'), b.scalar(1, 'int64')];
  return reshapeLike(b, op.range(b, zero, b.node('Size', [x])[0]!, one), x);
}

/** Zeros in the shape of `like`, to which each element of `g` is added at its position in row-major order. */
export function addAtFlat(b: GraphBuilder, g: Value, { positions, like }: Omit<Along, 'axis'>): Value {
  const flat = (value: Value): Value => op.reshapeTo(b, value, b.int64([-1]));
  const zeros = op.expandTo(b, b.scalar(0, g.dtype), op.reshape(b, b.node('Size', [like])[0]!, [1]));
  return reshapeLike(b, op.scatterElements(b, zeros, flat(positions), flat(g), { reduction: 'add' }), like);
}
