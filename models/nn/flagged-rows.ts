/**
 * @file A layer on some rows of a batch only: those whose flag is set. How many that are is known at run time. Rows are
 * independent of each other, so a row's numbers are the same whichever others are chosen.
 */
import { RefereeError } from '../../errors.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { int } from '../onnx/graph.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { lastNode, type WithAdjoints } from './own-adjoint.ts';

/** Rows of a value [N, ...] as [P, ...]. */
export type TakeRows = (value: Value) => Value;

/**
 * x [N, ...], flag [N] -> x with those rows replaced whose flag is above 0. `append` computes them from `part` [P, ...] and
 * from what else it takes. One row is always taken, for kernels that expect no empty tensors: `append` must leave a row
 * without a flag as it is.
 */
export function onFlaggedRows(
  b: GraphBuilder,
  x: Value,
  flag: Value,
  append: (part: Value, take: TakeRows) => WithAdjoints,
): WithAdjoints {
  const rows = b.scope('rows', () => flaggedRows(b, flag));
  const points = op.unsqueeze(b, rows, [1]);
  const part = op.gather(b, x, rows);
  const takes = lastNode(b, part);
  const made = append(part, (value) => op.gather(b, value, rows));
  const output = op.scatterNd(b, x, points, made.output);
  const puts = lastNode(b, output);
  // Rows that were taken and put back: their cotangents replace those of the whole, instead of a sum with zeros.
  let whole: Value | undefined;
  return {
    output,
    adjoints: [
      ...made.adjoints,
      {
        node: puts,
        adjoint: (into, cotangent) => {
          whole = cotangent;
          return [undefined, undefined, () => op.gather(into, cotangent, rows)];
        },
      },
      {
        node: takes,
        adjoint: (into, cotangent) => [
          () => {
            if (whole) return op.scatterNd(into, whole, points, cotangent);
            throw new RefereeError('Internal', `node ${takes.name}: its rows were not put back`);
          },
          undefined,
        ],
      },
    ],
  };
}

/** Places of the flags above 0, int64 [P]; one place if there is none. */
function flaggedRows(b: GraphBuilder, flag: Value): Value {
  const isOn = op.greater(b, flag, b.scalar(0, flag.dtype));
  const count = op.reduceSum(b, op.cast(b, isOn, 'int64'), { axes: [0] });
  const some = op.max(b, count, b.int64([1]));
  return b.node('TopK', [op.cast(b, isOn, 'float32'), some], { axis: int(0) }, 2)[1]!;
}
