/**
 * @file Inference of operators that work element by element, with broadcasting.
 */
import type { DType } from '../dtype.ts';
import { dtypeOf } from '../dtype.ts';
import type { Value } from '../graph.ts';
import type { Dim, Shape } from '../shapes.ts';
import { broadcastShapes, dimProduct, dimQuotient, dimSum, formatShape } from '../shapes.ts';
import type { InferContext, InferRule } from './rule.ts';
import { axisOf, numbersOf, problem, required, sameType } from './context.ts';

/** Output like the first input. */
const unary: InferRule = (context) => {
  const x = required(context, 0);
  return [{ dtype: x.dtype, shape: x.shape, dims: undefined }];
};

/** As `unary`, and passes the elements of a shape vector on. */
const passing: InferRule = (context) => {
  const x = required(context, 0);
  return [{ dtype: x.dtype, shape: x.shape, dims: context.dims(x) }];
};

function present(context: InferContext): Value[] {
  return context.inputs.map((_, at) => required(context, at));
}

function broadcasting(result: 'same' | 'bool', follow?: (a: Dim, b: Dim) => Dim | undefined): InferRule {
  return (context) => {
    const values = present(context);
    if (values.length === 0) throw problem(context, 'needs an input');
    sameType(context, values);
    const shape = broadcastShapes(
      values.map((value) => value.shape),
      context.where,
    );
    const dtype: DType = result === 'bool' ? 'bool' : values[0]!.dtype;
    return [{ dtype, shape, dims: follow ? followDims(context, values, follow) : undefined }];
  };
}

const FOLLOWED_TYPES: readonly DType[] = ['int64', 'int32', 'bool'];

/** Arithmetic on shape vectors: a scalar or a vector of length one is repeated. */
function followDims(
  context: InferContext,
  [a, b, ...others]: readonly Value[],
  combine: (a: Dim, b: Dim) => Dim | undefined,
): readonly Dim[] | undefined {
  if (!a || !b || others.length > 0 || !FOLLOWED_TYPES.includes(a.dtype)) return undefined;
  if (a.shape.length > 1 || b.shape.length > 1) return undefined;
  const left = context.dims(a);
  const right = context.dims(b);
  if (!left || !right) return undefined;
  const length = Math.max(left.length, right.length);
  const out: Dim[] = [];
  for (let at = 0; at < length; at += 1) {
    const x = left[left.length === 1 ? 0 : at];
    const y = right[right.length === 1 ? 0 : at];
    const value = x === undefined || y === undefined ? undefined : combine(x, y);
    if (value === undefined) return undefined;
    out.push(value);
  }
  return out;
}

const where: InferRule = (context) => {
  const [condition, x, y] = [required(context, 0), required(context, 1), required(context, 2)];
  if (condition.dtype !== 'bool') throw problem(context, `the condition has type ${condition.dtype}, expected bool`);
  sameType(context, [x, y]);
  const shape = broadcastShapes([condition.shape, x.shape, y.shape], context.where);
  return [{ dtype: x.dtype, shape, dims: followChoice(context, shape) }];
};

/**
 * Elements of shape vectors, chosen by truth values that are known; `shape` is that of the result. Undefined unless one of
 * the vectors is known and as long as the result: of contents that are not known no number of elements follows.
 */
function followChoice(context: InferContext, shape: Shape): readonly Dim[] | undefined {
  if (shape.length > 1) return undefined;
  const [length = 1] = shape;
  const vectors = [0, 1, 2].map((at) => context.dims(required(context, at)));
  const longest = Math.max(...vectors.map((vector) => vector?.length ?? 0));
  if (length !== longest) return undefined;
  const chosen = Array.from({ length: longest }, (_, at) => {
    const [condition, x, y] = vectors.map((vector) => vector?.[vector.length === 1 ? 0 : at]);
    return typeof condition === 'number' ? (condition !== 0 ? x : y) : undefined;
  });
  return chosen.every((dim) => dim !== undefined) ? chosen : undefined;
}

const cast: InferRule = (context) => {
  const x = required(context, 0);
  const to = context.attributes.int('to', 0);
  const dtype = dtypeOf(to);
  if (!dtype) throw problem(context, `attribute "to" is ${to}, which is no supported element type`);
  return [
    {
      dtype,
      shape: x.shape,
      dims: dtype === 'int64' || dtype === 'int32' ? context.dims(x) : castToBool(context, dtype),
    },
  ];
};

/** Sizes are truth values where it is known whether they are 0. */
function castToBool(context: InferContext, dtype: DType): readonly Dim[] | undefined {
  if (dtype !== 'bool') return undefined;
  const dims = context.dims(required(context, 0));
  return dims?.every((dim): dim is number => typeof dim === 'number')
    ? dims.map((dim) => Number(dim !== 0))
    : undefined;
}

/** As `unary`, along an axis that must exist. */
const alongAxis =
  (fallback: number): InferRule =>
  (context) => {
    const x = required(context, 0);
    axisOf(context, context.attributes.int('axis', fallback), x.shape.length);
    return [{ dtype: x.dtype, shape: x.shape }];
  };

const castLike: InferRule = (context) => [{ dtype: required(context, 1).dtype, shape: required(context, 0).shape }];

const toBool: InferRule = (context) => [{ dtype: 'bool', shape: required(context, 0).shape }];

const not: InferRule = (context) => {
  const x = required(context, 0);
  const known = numbersOf(context, 0);
  return [
    { dtype: x.dtype, shape: x.shape, dims: Array.isArray(known) ? known.map((n) => Number(n === 0)) : undefined },
  ];
};

const dropout: InferRule = (context) => {
  const x = required(context, 0);
  const outputs = [
    { dtype: x.dtype, shape: x.shape },
    { dtype: 'bool' as const, shape: x.shape },
  ];
  return outputs.slice(0, context.outputs);
};

const prelu: InferRule = (context) => {
  const x = required(context, 0);
  const slope = required(context, 1);
  sameType(context, [x, slope]);
  const isBeyond = slope.shape.length > x.shape.length;
  const all = isBeyond ? slope.shape : broadcastShapes([x.shape, slope.shape], context.where);
  const fits = !isBeyond && x.shape.every((dim, axis) => dim !== 1 || all[axis] === 1);
  if (!fits) throw problem(context, `the slope ${formatShape(slope.shape)} is larger than ${formatShape(x.shape)}`);
  return [{ dtype: x.dtype, shape: x.shape }];
};

const subtract = (a: Dim, b: Dim): Dim | undefined =>
  typeof a === 'number' && typeof b === 'number' ? a - b : b === 0 ? a : a === b ? 0 : undefined;
/** Symbols are sizes, which are 0 or more. */
const equal = (a: Dim, b: Dim): Dim | undefined => {
  if (a === b) return 1;
  if (typeof a === 'number' && typeof b === 'number') return 0;
  return (typeof a === 'number' && a < 0) || (typeof b === 'number' && b < 0) ? 0 : undefined;
};
/** Of numbers only. */
const known =
  (combine: (a: number, b: number) => number | boolean) =>
  (a: Dim, b: Dim): Dim | undefined =>
    typeof a === 'number' && typeof b === 'number' ? Number(combine(a, b)) : undefined;
const modulo = (a: Dim, b: Dim): Dim | undefined =>
  typeof a === 'number' && typeof b === 'number' && a >= 0 && b > 0 ? a % b : undefined;
const divide = (a: Dim, b: Dim): Dim | undefined =>
  typeof a === 'number' && typeof b === 'number' && b !== 0 ? Math.trunc(a / b) : dimQuotient(a, b);

const UNARY = [
  ...[
    'Abs',
    'Neg',
    'Sqrt',
    'Exp',
    'Log',
    'Erf',
    'Tanh',
    'Sigmoid',
    'Relu',
    'Sin',
    'Cos',
    'Tan',
    'Asin',
    'Acos',
    'Atan',
  ],
  ...[
    'Sinh',
    'Cosh',
    'Asinh',
    'Acosh',
    'Atanh',
    'Reciprocal',
    'Softplus',
    'Softsign',
    'HardSwish',
    'HardSigmoid',
    'Elu',
  ],
  ...['Selu', 'Celu', 'LeakyRelu', 'ThresholdedRelu', 'Mish', 'Gelu', 'Floor', 'Ceil', 'Round', 'Sign'],
  ...['Trilu', 'BitwiseNot', 'Clip', 'CumSum', 'LRN', 'Shrink'],
];

export const elementwiseRules: Readonly<Record<string, InferRule>> = {
  ...Object.fromEntries(UNARY.map((op) => [op, unary])),
  Softmax: alongAxis(-1),
  LogSoftmax: alongAxis(-1),
  Hardmax: alongAxis(-1),
  LpNormalization: alongAxis(-1),
  Identity: passing,
  Add: broadcasting('same', dimSum),
  Sub: broadcasting('same', subtract),
  Mul: broadcasting('same', (a, b) => dimProduct([a, b])),
  Div: broadcasting('same', divide),
  Mod: broadcasting('same', modulo),
  Pow: (context) => {
    const [x, y] = [required(context, 0), required(context, 1)];
    return [{ dtype: x.dtype, shape: broadcastShapes([x.shape, y.shape], context.where) }];
  },
  Min: broadcasting('same', known(Math.min)),
  Max: broadcasting('same', known(Math.max)),
  Sum: broadcasting('same'),
  Mean: broadcasting('same'),
  And: broadcasting(
    'same',
    known((a, b) => a !== 0 && b !== 0),
  ),
  Or: broadcasting(
    'same',
    known((a, b) => a !== 0 || b !== 0),
  ),
  Xor: broadcasting(
    'same',
    known((a, b) => (a !== 0) !== (b !== 0)),
  ),
  ...Object.fromEntries(['BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'BitShift'].map((op) => [op, broadcasting('same')])),
  Not: not,
  Equal: broadcasting('bool', equal),
  Greater: broadcasting(
    'bool',
    known((a, b) => a > b),
  ),
  GreaterOrEqual: broadcasting(
    'bool',
    known((a, b) => a >= b),
  ),
  Less: broadcasting(
    'bool',
    known((a, b) => a < b),
  ),
  LessOrEqual: broadcasting(
    'bool',
    known((a, b) => a <= b),
  ),
  IsNaN: toBool,
  IsInf: toBool,
  Where: where,
  Cast: cast,
  CastLike: castLike,
  Dropout: dropout,
  PRelu: prelu,
};
