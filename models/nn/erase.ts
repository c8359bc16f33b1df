/**
 * @file Erasing: a rectangle of every image becomes 0, as kornia's `RandomErasing` with value 0.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import type { Dim } from '../onnx/shapes.ts';

/**
 * x [R, C, H, W] or, where C stands for the channels of all cutouts of a lane, [B, n * 3, H, W]. `rectangles` [R, 4]:
 * top, left, height, width in whole pixels; a rectangle without height or width erases nothing.
 */
export function erase(b: GraphBuilder, x: Value, rectangles: Value): Value {
  const [rows, , height, width] = x.shape as [Dim, Dim, number, number];
  const [top, left, tall, wide] = op
    .split(b, rectangles, [1, 1, 1, 1], 1)
    .map((side) => op.reshape(b, side, [rows, 1, 1, 1])) as [Value, Value, Value, Value];
  const isLine = within(b, { first: top, count: tall, shape: [1, 1, height, 1] });
  const isColumn = within(b, { first: left, count: wide, shape: [1, 1, 1, width] });
  return op.where(b, op.and(b, isLine, isColumn), b.scalar(0), x);
}

interface WithinOptions {
  readonly first: Value;
  readonly count: Value;
  /** One axis that is not 1. */
  readonly shape: readonly number[];
}

function within(b: GraphBuilder, { first, count, shape }: WithinOptions): Value {
  const length = Math.max(...shape);
  const places = b.constant(
    float32(
      Array.from({ length }, (_, at) => at),
      shape,
    ),
    'places',
  );
  return op.and(b, op.greaterOrEqual(b, places, first), op.less(b, places, op.add(b, first, count)));
}
