/**
 * @file Operators that work element by element, with broadcasting.
 */
import type { GraphBuilder } from '../builder.ts';
import type { DType } from '../dtype.ts';
import { DTYPES } from '../dtype.ts';
import type { Value } from '../graph.ts';
import { float, int, text } from '../graph.ts';
import { binary, unary } from './arity.ts';

export const abs = unary('Abs');
export const neg = unary('Neg');
export const sqrt = unary('Sqrt');
export const exp = unary('Exp');
export const log = unary('Log');
export const erf = unary('Erf');
export const tanh = unary('Tanh');
export const sigmoid = unary('Sigmoid');
export const relu = unary('Relu');
export const sin = unary('Sin');
export const cos = unary('Cos');
export const reciprocal = unary('Reciprocal');
export const softplus = unary('Softplus');
export const floor = unary('Floor');
export const ceil = unary('Ceil');
export const sign = unary('Sign');
export const not = unary('Not');
export const identity = unary('Identity');

export const add = binary('Add');
export const sub = binary('Sub');
export const mul = binary('Mul');
export const div = binary('Div');
export const pow = binary('Pow');
export const min = binary('Min');
export const max = binary('Max');
export const equal = binary('Equal');
export const greater = binary('Greater');
export const greaterOrEqual = binary('GreaterOrEqual');
export const less = binary('Less');
export const lessOrEqual = binary('LessOrEqual');
export const and = binary('And');
export const or = binary('Or');

/** x + c, x * c ... with a number. */
export const addScalar = (b: GraphBuilder, x: Value, c: number): Value => add(b, x, b.scalar(c, x.dtype));
export const subScalar = (b: GraphBuilder, x: Value, c: number): Value => sub(b, x, b.scalar(c, x.dtype));
export const mulScalar = (b: GraphBuilder, x: Value, c: number): Value => mul(b, x, b.scalar(c, x.dtype));
export const divScalar = (b: GraphBuilder, x: Value, c: number): Value => div(b, x, b.scalar(c, x.dtype));

/** Sum of one or more values of any broadcastable shapes. */
export function sum(b: GraphBuilder, values: readonly Value[]): Value {
  return values.reduce((total, value) => add(b, total, value));
}

export function where(b: GraphBuilder, condition: Value, x: Value, y: Value): Value {
  return b.node('Where', [condition, x, y])[0]!;
}

export function cast(b: GraphBuilder, x: Value, to: DType): Value {
  return x.dtype === to ? x : b.node('Cast', [x], { to: int(DTYPES[to].onnx) })[0]!;
}

/** min and max are inputs in ONNX. */
export function clip(b: GraphBuilder, x: Value, { min: low, max: high }: { min?: number; max?: number }): Value {
  return b.node('Clip', [
    x,
    low === undefined ? undefined : b.scalar(low, x.dtype),
    high === undefined ? undefined : b.scalar(high, x.dtype),
  ])[0]!;
}

/** approximate "none": x/2 (1 + erf(x / sqrt 2)); "tanh": Hendrycks and Gimpel's approximation. */
export function gelu(
  b: GraphBuilder,
  x: Value,
  { approximate = 'none' }: { approximate?: 'none' | 'tanh' } = {},
): Value {
  return b.node('Gelu', [x], { approximate: text(approximate) })[0]!;
}

/** max(0, min(1, alpha x + beta)) */
export function hardSigmoid(b: GraphBuilder, x: Value, { alpha = 0.2, beta = 0.5 } = {}): Value {
  return b.node('HardSigmoid', [x], { alpha: float(alpha), beta: float(beta) })[0]!;
}
