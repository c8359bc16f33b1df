/**
 * @file Softmax and its logarithm in closed form.
 */
import { int } from '../../onnx/graph.ts';
import type { Value } from '../../onnx/graph.ts';
import type { GraphBuilder } from '../../onnx/builder.ts';
import * as op from '../../onnx/ops.ts';
import type { RuleTable } from '../rule.ts';

export const softmaxRules: RuleTable = {
  /** x' = y (g - sum y g). */
  Softmax: ({ outputs: [y], g, attributes }, b) => {
    const axes = [attributes.int('axis', -1)];
    return [() => op.mul(b, y, op.sub(b, g, op.reduceSum(b, op.mul(b, y, g), { axes })))];
  },
  /** x' = g - e^y sum g. */
  LogSoftmax: ({ outputs: [y], g, attributes }, b) => {
    const axes = [attributes.int('axis', -1)];
    return [() => op.sub(b, g, op.mul(b, op.exp(b, y), op.reduceSum(b, g, { axes })))];
  },
  /** y = x / |x|: x' = (g - y sum y g) / |x| for p = 2, (g - sign x sum y g) / |x| for p = 1. */
  LpNormalization: ({ inputs: [x], outputs: [y], g, attributes }, b) => {
    const axis = attributes.int('axis', -1);
    const p = attributes.int('p', 2);
    return [
      () => {
        const along = op.reduceSum(b, op.mul(b, y, g), { axes: [axis] });
        const direction = p === 2 ? y : op.sign(b, x);
        return op.div(b, op.sub(b, g, op.mul(b, direction, along)), norm(b, x, axis, p));
      },
    ];
  },
};

function norm(b: GraphBuilder, x: Value, axis: number, p: number): Value {
  return b.node(p === 2 ? 'ReduceL2' : 'ReduceL1', [x, b.int64([axis])], { keepdims: int(1) })[0]!;
}
