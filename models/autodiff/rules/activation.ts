/**
 * @file Activations. Kinks take the derivative of one of their sides.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { unbroadcast } from '../broadcast.ts';
import { keepWhere, dropWhere } from '../select.ts';
import { normalDistribution } from '../../onnx/passes/share-gelus.ts';
import type { Rule, RuleTable } from '../rule.ts';

/** 1 - x */
const complement = (b: GraphBuilder, x: Value): Value => op.sub(b, b.scalar(1, x.dtype), x);
const isPositive = (b: GraphBuilder, x: Value): Value => op.greater(b, x, b.scalar(0, x.dtype));
const isInside = (b: GraphBuilder, x: Value, radius: number): Value =>
  op.less(b, op.abs(b, x), b.scalar(radius, x.dtype));

/** Phi(x) + x phi(x): with s = x / sqrt 2, (1 + erf s) / 2 + s exp(-s^2 - ln sqrt pi). The first term is gelu's own: `shareGelus`. */
function geluDerivative(b: GraphBuilder, x: Value): Value {
  const s = op.mulScalar(b, x, Math.SQRT1_2);
  const exponent = op.sub(b, b.scalar(-Math.log(Math.PI) / 2, x.dtype), op.mul(b, s, s));
  return op.add(b, normalDistribution(b, s), op.mul(b, s, op.exp(b, exponent)));
}

/**
 * y = x sigma(q), q = 2 sqrt(2/pi) (x + 0.044715 x^3), which is x/2 (1 + tanh(q/2)):
 * y' = sigma (1 + x q' (1 - sigma)). Unlike 1 + tanh, sigma keeps its precision for negative x.
 */
function geluTanhDerivative(b: GraphBuilder, x: Value): Value {
  const c1 = 2 * Math.sqrt(2 / Math.PI);
  const c3 = c1 * 0.044715;
  const square = op.mul(b, x, x);
  const q = op.mul(b, x, op.addScalar(b, op.mulScalar(b, square, c3), c1));
  const xq = op.mul(b, x, op.addScalar(b, op.mulScalar(b, square, 3 * c3), c1));
  const sigma = op.sigmoid(b, q);
  return op.mul(b, sigma, op.addScalar(b, op.mul(b, xq, complement(b, sigma)), 1));
}

/** x > 0: the cotangent itself; else times a slope. */
const aboveZero =
  (slope: (b: GraphBuilder, y: Value, alpha: number) => Value, alpha: number): Rule =>
  ({ inputs: [x], outputs: [y], g, attributes }, b) => [
    () => op.where(b, isPositive(b, x), g, op.mul(b, g, slope(b, y, attributes.float('alpha', alpha)))),
  ];

export const activationRules: RuleTable = {
  Relu: ({ outputs: [y], g }, b) => [() => keepWhere(b, isPositive(b, y), g)],
  ThresholdedRelu: ({ inputs: [x], g, attributes }, b) => [
    () => keepWhere(b, op.greater(b, x, b.scalar(attributes.float('alpha', 1), x.dtype)), g),
  ],
  LeakyRelu: aboveZero((b, y, alpha) => b.scalar(alpha, y.dtype), 0.01),
  Elu: aboveZero((b, y, alpha) => op.addScalar(b, y, alpha), 1),
  Celu: aboveZero((b, y, alpha) => op.addScalar(b, op.mulScalar(b, y, 1 / alpha), 1), 1),
  Selu: ({ inputs: [x], outputs: [y], g, attributes }, b) => {
    const alpha = attributes.float('alpha', 1.67326319217681884765625);
    const gamma = attributes.float('gamma', 1.05070102214813232421875);
    return [
      () => op.mul(b, g, op.where(b, isPositive(b, x), b.scalar(gamma, x.dtype), op.addScalar(b, y, gamma * alpha))),
    ];
  },
  PRelu: ({ inputs: [x, slope], g }, b) => [
    () => op.where(b, isPositive(b, x), g, op.mul(b, g, slope)),
    () => unbroadcast(b, dropWhere(b, isPositive(b, x), op.mul(b, g, x)), slope),
  ],
  Shrink: ({ inputs: [x], g, attributes }, b) => [
    () => dropWhere(b, isInside(b, x, attributes.float('lambd', 0.5)), g),
  ],

  Sigmoid: ({ outputs: [y], g }, b) => [() => op.mul(b, g, op.mul(b, y, complement(b, y)))],
  HardSigmoid: ({ outputs: [y], g, attributes }, b) => [
    () => {
      const slope = op.mulScalar(b, g, attributes.float('alpha', 0.2));
      return keepWhere(b, isInside(b, op.subScalar(b, y, 0.5), 0.5), slope);
    },
  ],
  HardSwish: ({ inputs: [x], g }, b) => [
    () => {
      const [zero, one] = [b.scalar(0, x.dtype), b.scalar(1, x.dtype)];
      const outside = op.where(b, isPositive(b, x), one, zero);
      const inside = op.addScalar(b, op.mulScalar(b, x, 1 / 3), 0.5);
      return op.mul(b, g, op.where(b, isInside(b, x, 3), inside, outside));
    },
  ],
  Softplus: ({ inputs: [x], g }, b) => [() => op.mul(b, g, op.sigmoid(b, x))],
  Softsign: ({ inputs: [x], g }, b) => [
    () => {
      const size = op.addScalar(b, op.abs(b, x), 1);
      return op.div(b, g, op.mul(b, size, size));
    },
  ],
  Mish: ({ inputs: [x], g }, b) => [
    () => {
      const t = op.tanh(b, op.softplus(b, x));
      const slope = op.mul(b, op.mul(b, x, op.sigmoid(b, x)), complement(b, op.mul(b, t, t)));
      return op.mul(b, g, op.add(b, t, slope));
    },
  ],
  Gelu: ({ inputs: [x], g, attributes }, b) => {
    const derivative = attributes.string('approximate', 'none') === 'tanh' ? geluTanhDerivative : geluDerivative;
    return [() => op.mul(b, g, derivative(b, x))];
  },
};
