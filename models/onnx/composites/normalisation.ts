/**
 * @file Normalisations without a kernel in the operator set that we write, and gates by the sigmoid.
 */
import { isFloat } from '../dtype.ts';
import * as op from '../ops.ts';
import { normalAxis } from '../shapes.ts';
import type { Composite, CompositeTable } from './composite.ts';

/** x / sqrt(mean x^2 + epsilon) * scale over the axes from `axis` on, half precision in float32. */
const rmsNormalization: Composite = ({ b, attributes, where, required }) => {
  const [x, scale] = [required(0), required(1)];
  const first = normalAxis(attributes.int('axis', -1), x.shape.length, where);
  const axes = x.shape.flatMap((_, axis) => (axis < first ? [] : [axis]));
  const wide = x.dtype === 'float64' || !isFloat(x.dtype) ? x : op.cast(b, x, 'float32');
  const squares = op.reduceMean(b, op.mul(b, wide, wide), { axes });
  const root = op.sqrt(b, op.addScalar(b, squares, attributes.float('epsilon', 1e-5)));
  return [op.mul(b, op.cast(b, op.div(b, wide, root), x.dtype), op.cast(b, scale, x.dtype))];
};

/** (x - mean) / (deviation + 1e-9), over batch and image if nothing is said. */
const meanVarianceNormalization: Composite = ({ b, attributes, required }) => {
  const x = required(0);
  const axes = attributes.ints('axes') ?? [0, 2, 3];
  const centred = op.sub(b, x, op.reduceMean(b, x, { axes }));
  const variance = op.reduceMean(b, op.mul(b, centred, centred), { axes });
  return [op.div(b, centred, op.addScalar(b, op.sqrt(b, variance), 1e-9))];
};

/** x sigma(alpha x) */
const swish: Composite = ({ b, attributes, required }) => {
  const x = required(0);
  const alpha = attributes.float('alpha', 1);
  return [op.mul(b, x, op.sigmoid(b, alpha === 1 ? x : op.mulScalar(b, x, alpha)))];
};

export const normalisationComposites: CompositeTable = {
  RMSNormalization: rmsNormalization,
  MeanVarianceNormalization: meanVarianceNormalization,
  Swish: swish,
};
