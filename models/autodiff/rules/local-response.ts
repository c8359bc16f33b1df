/**
 * @file LRN: y = x d^-beta, d = bias + alpha times the mean square over neighbouring channels. Its way back is a mean over
 * the neighbours seen from the other side: x' = g d^-beta - 2 alpha beta x mean'(g x d^(-beta-1)).
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import { int, ints } from '../../onnx/graph.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import type { Rule, RuleTable } from '../rule.ts';
import { reshapeLike, sizesOf } from '../sizes.ts';

interface Neighbours {
  /** Number of channels of a mean; those outside count as zero. */
  readonly size: number;
  /** Channels before the one in the middle. */
  readonly before: number;
}

/** Mean over neighbouring channels, which are the rows of an image of one channel. */
function channelMean(b: GraphBuilder, x: Value, { size, before }: Neighbours): Value {
  const sizes = op.concat(b, [sizesOf(b, x, [0]), b.int64([1]), sizesOf(b, x, [1]), b.int64([-1])], 0);
  const [mean] = b.node('AveragePool', [op.reshapeTo(b, x, sizes)], {
    kernel_shape: ints([size, 1]),
    pads: ints([before, 0, size - 1 - before, 0]),
    count_include_pad: int(1),
  });
  return reshapeLike(b, mean!, x);
}

const localResponse: Rule = ({ inputs: [x], g, attributes }, b) => [
  () => {
    const size = attributes.int('size', 1);
    const before = Math.floor((size - 1) / 2);
    const alpha = attributes.float('alpha', 1e-4);
    const beta = attributes.float('beta', 0.75);
    const squares = channelMean(b, op.mul(b, x, x), { size, before });
    const d = op.addScalar(b, op.mulScalar(b, squares, alpha), attributes.float('bias', 1));
    const scaled = op.mul(b, g, op.pow(b, d, b.scalar(-beta, x.dtype)));
    const spread = channelMean(b, op.mul(b, scaled, op.div(b, x, d)), { size, before: size - 1 - before });
    return op.sub(b, scaled, op.mulScalar(b, op.mul(b, x, spread), 2 * alpha * beta));
  },
];

export const localResponseRules: RuleTable = { LRN: localResponse };
