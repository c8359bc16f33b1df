/**
 * @file Losses by the class that a target names: scores [N, C, d1 ...] or their logarithms, targets [N, d1 ...].
 */
import type { Value } from '../graph.ts';
import * as op from '../ops.ts';
import type { Composite, CompositeContext, CompositeTable } from './composite.ts';
import { problem } from './composite.ts';

/** -w[t] log p[t] of every place, then none, the sum or the mean by weights. */
function negativeLogLikelihood(context: CompositeContext, logs: Value): Value {
  const { b, attributes, required, optional } = context;
  const targets = op.cast(b, required(1), 'int64');
  if (logs.shape.length < 2 || targets.shape.length !== logs.shape.length - 1) {
    throw problem(context, `scores have ${logs.shape.length} axes, targets ${targets.shape.length}, expected one less`);
  }
  const ignored = attributes.has('ignore_index') ? attributes.int('ignore_index', 0) : undefined;
  const isIgnored = ignored === undefined ? undefined : op.equal(b, targets, b.scalar(ignored, 'int64'));
  const zero = b.scalar(0, logs.dtype);
  const kept = (value: Value): Value => (isIgnored ? op.where(b, isIgnored, zero, value) : value);
  // Ignored places may name no class at all.
  const classes = isIgnored ? op.where(b, isIgnored, b.scalar(0, 'int64'), targets) : targets;
  const picked = op.squeeze(b, op.gatherElements(b, logs, op.unsqueeze(b, classes, [1]), 1), [1]);
  const weights = optional(2);
  const weight = weights && kept(op.gather(b, weights, classes));
  const losses = kept(op.neg(b, weight ? op.mul(b, picked, weight) : picked));
  const total = (value: Value): Value => op.reduceSum(b, value, { keepdims: false });
  const reduction = attributes.string('reduction', 'mean');
  switch (reduction) {
    case 'none':
      return losses;
    case 'sum':
      return total(losses);
    case 'mean': {
      if (weight) return op.div(b, total(losses), total(weight));
      if (!isIgnored) return op.reduceMean(b, losses, { keepdims: false });
      return op.div(b, total(losses), total(op.cast(b, op.not(b, isIgnored), logs.dtype)));
    }
    default:
      throw problem(context, `reduction "${reduction}" is none of none, sum, mean`);
  }
}

const negativeLogLikelihoodLoss: Composite = (context) => [negativeLogLikelihood(context, context.required(0))];

const softmaxCrossEntropyLoss: Composite = (context) => {
  const logs = op.logSoftmax(context.b, context.required(0), 1);
  return [negativeLogLikelihood(context, logs), logs];
};

export const lossComposites: CompositeTable = {
  NegativeLogLikelihoodLoss: negativeLogLikelihoodLoss,
  SoftmaxCrossEntropyLoss: softmaxCrossEntropyLoss,
};
