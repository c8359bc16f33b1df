/**
 * @file The discrete Fourier transform F is symmetric: the adjoint of y = F x over real and imaginary parts is its
 * conjugate, N times the inverse transform, and that of the inverse is the transform over N.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import { float32 } from '../../onnx/dtype.ts';
import type { Value } from '../../onnx/graph.ts';
import { int } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { normalAxis } from '../../onnx/shapes.ts';
import type { Rule, RuleTable } from '../rule.ts';
import { missingRule } from '../rule.ts';
import { sizesOf } from '../sizes.ts';

/** The weights of more frequencies would be a constant of megabytes. */
const MOST_STEPS = 2 ** 16;

/** The first elements along an axis, or zeros behind them: as many as `size`, a vector of one. */
function fitted(b: GraphBuilder, x: Value, axis: number, size: Value): Value {
  const missing = op.sub(b, size, sizesOf(b, x, [axis]));
  return b.node('Pad', [x, op.concat(b, [b.int64([0]), missing], 0), undefined, b.int64([axis])])[0]!;
}

/** 1 for the frequencies that stand for themselves, 2 for those that stand for their conjugates as well: [bins, 1 ...]. */
function weights(
  b: GraphBuilder,
  like: Value,
  { bins, length, behind }: { bins: number; length: number; behind: number },
): Value {
  const numbers = Array.from({ length: bins }, (_, at) => (at === 0 || 2 * at === length ? 1 : 2) / length);
  const shape = [bins, ...Array.from({ length: behind }, () => 1)];
  return b.constant(
    like.dtype === 'float64' ? { dtype: 'float64', shape, data: Float64Array.from(numbers) } : float32(numbers, shape),
  );
}

const dft: Rule = ({ node, inputs: [x], outputs: [y], optional, attributes, g }, b) => [
  () => {
    const rank = x.shape.length;
    const known = optional(2) ? b.dimsOf(optional(2)!)?.[0] : -2;
    const axis = normalAxis(Number(known), rank, `node ${node.name}`);
    const at = b.scalar(axis, 'int64');
    const isHalf = attributes.int('onesided', 0) === 1;
    const isInverse = attributes.int('inverse', 0) === 1;
    const given = optional(1);
    const length = isHalf && !isInverse ? undefined : sizesOf(b, y, [axis]);
    const count = length ?? (given ? op.reshape(b, op.cast(b, given, 'int64'), [1]) : sizesOf(b, x, [axis]));
    const own = sizesOf(b, x, [axis]);
    const number = op.cast(b, count, g.dtype);
    if (isHalf && isInverse) {
      const steps = y.shape[axis];
      if (typeof steps !== 'number') throw missingRule(node, 0, 'its length must be known');
      if (steps > MOST_STEPS) throw missingRule(node, 0, `found a length of ${steps}, expected at most ${MOST_STEPS}`);
      const bins = Math.floor(steps / 2) + 1;
      const [half] = b.node('DFT', [g, undefined, at], { onesided: int(1) });
      const weighted = op.mul(b, half!, weights(b, g, { bins, length: steps, behind: rank - 1 - axis }));
      return fitted(b, weighted, axis, own);
    }
    const whole = isHalf ? fitted(b, g, axis, count) : g;
    const [back] = b.node('DFT', [whole, undefined, at], { inverse: int(isInverse ? 0 : 1) });
    const scaled = isInverse ? op.div(b, back!, number) : op.mul(b, back!, number);
    const parts = x.shape[rank - 1] === 1 ? op.slice(b, scaled, { starts: [0], ends: [1], axes: [rank - 1] }) : scaled;
    return fitted(b, parts, axis, own);
  },
  undefined,
  undefined,
];

export const spectralRules: RuleTable = { DFT: dft };
