/**
 * @file Functions of one real number: y = f(x), x' = y' f'(x), with f' written in terms of y where that is cheaper.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import { isFloat } from '../../onnx/dtype.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import type { Rule, RuleTable } from '../rule.ts';

type Derivative = (b: GraphBuilder, x: Value, y: Value) => Value;

const times =
  (derivative: Derivative): Rule =>
  ({ inputs: [x], outputs: [y], g }, b) => [() => op.mul(b, g, derivative(b, x, y))];

const over =
  (denominator: Derivative): Rule =>
  ({ inputs: [x], outputs: [y], g }, b) => [() => op.div(b, g, denominator(b, x, y))];

const square = (b: GraphBuilder, x: Value): Value => op.mul(b, x, x);
/** 1 - x^2 */
const complement = (b: GraphBuilder, x: Value): Value => op.sub(b, b.scalar(1, x.dtype), square(b, x));
const cosh = (b: GraphBuilder, x: Value): Value => b.node('Cosh', [x])[0]!;
const sinh = (b: GraphBuilder, x: Value): Value => b.node('Sinh', [x])[0]!;

export const unaryRules: RuleTable = {
  Identity: ({ g }) => [() => g],
  Dropout: ({ g }) => [() => g, undefined, undefined],
  // Quantised numbers have real cotangents.
  Cast: ({ inputs: [x], g }, b) => [() => (isFloat(x.dtype) ? op.cast(b, g, x.dtype) : g)],
  CastLike: ({ inputs: [x], g }, b) => [() => op.cast(b, g, x.dtype), undefined],

  Neg: ({ g }, b) => [() => op.neg(b, g)],
  Abs: times((b, x) => op.sign(b, x)),
  Exp: times((_, __, y) => y),
  Log: over((_, x) => x),
  Sqrt: over((b, _, y) => op.mulScalar(b, y, 2)),
  Reciprocal: times((b, _, y) => op.neg(b, square(b, y))),
  Erf: times((b, x) => op.mulScalar(b, op.exp(b, op.neg(b, square(b, x))), 2 / Math.sqrt(Math.PI))),

  Sin: times((b, x) => op.cos(b, x)),
  Cos: times((b, x) => op.neg(b, op.sin(b, x))),
  Tan: times((b, _, y) => op.addScalar(b, square(b, y), 1)),
  Asin: over((b, x) => op.sqrt(b, complement(b, x))),
  Acos: over((b, x) => op.neg(b, op.sqrt(b, complement(b, x)))),
  Atan: over((b, x) => op.addScalar(b, square(b, x), 1)),

  Sinh: times(cosh),
  Cosh: times(sinh),
  Tanh: times((b, _, y) => complement(b, y)),
  Asinh: over((b, x) => op.sqrt(b, op.addScalar(b, square(b, x), 1))),
  Acosh: over((b, x) => op.sqrt(b, op.subScalar(b, square(b, x), 1))),
  Atanh: over(complement),
};
