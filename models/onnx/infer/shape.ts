/**
 * @file Inference of operators that make tensors: constants, ranges, shapes of others.
 */
import type { Tensor } from '../dtype.ts';
import { DTYPES, dtypeOf, float32, int64 } from '../dtype.ts';
import type { Dim } from '../shapes.ts';
import { dimProduct, formatShape, unknownDim } from '../shapes.ts';
import type { InferContext, Inferred, InferRule } from './rule.ts';
import { numbersOf, problem, rankOf, required, sameType } from './context.ts';
import { MOST_AXES } from './result.ts';

const shape: InferRule = (context) => {
  const x = required(context, 0);
  const rank = x.shape.length;
  const clamp = (at: number): number => Math.min(Math.max(at < 0 ? at + rank : at, 0), rank);
  const start = clamp(context.attributes.int('start', 0));
  const end = clamp(context.attributes.int('end', rank));
  const dims = x.shape.slice(start, Math.max(start, end));
  return [{ dtype: 'int64', shape: [dims.length], dims }];
};

/** Longer vectors are no shapes. */
const FOLLOWED_ELEMENTS = 64;

const size: InferRule = (context) => [{ dtype: 'int64', shape: [], dims: [dimProduct(required(context, 0).shape)] }];

/** Sizes that an integer vector holds: known, or as many unknown ones as it is long. */
export function sizesOf(context: InferContext, at: number): readonly Dim[] {
  const vector = rankOf(context, at, 1);
  const known = context.dims(vector);
  if (known) return known;
  const length = vector.shape[0];
  if (typeof length !== 'number')
    throw problem(context, `the rank of the result is not known: input ${at} has a length known at run time only`);
  if (length > MOST_AXES) throw problem(context, `input ${at} has ${length} sizes, at most ${MOST_AXES} are supported`);
  return Array.from({ length }, unknownDim);
}

const constantOfShape: InferRule = (context) => {
  const value = context.attributes.tensor('value');
  const shape = sizesOf(context, 0);
  const [length] = shape;
  // Exporters make vectors of ones or minus ones so, to compare shapes with.
  const isVector = shape.length === 1 && typeof length === 'number' && length <= FOLLOWED_ELEMENTS;
  const isWhole = value?.dtype === 'int64' || value?.dtype === 'int32';
  const dims = isVector && isWhole ? Array.from({ length }, () => Number(value.data[0])) : undefined;
  return [{ dtype: value?.dtype ?? 'float32', shape, dims }];
};

/** The tensor of a `Constant` node, in any of its spellings. */
export function constantTensor(context: Pick<InferContext, 'attributes'>): Tensor | undefined {
  const { attributes } = context;
  if (attributes.has('value')) return attributes.tensor('value');
  if (attributes.has('value_int')) return int64([attributes.int('value_int', 0)], []);
  if (attributes.has('value_float')) return float32([attributes.float('value_float', 0)], []);
  const wholes = attributes.ints('value_ints');
  if (wholes) return int64(wholes);
  const reals = attributes.floats('value_floats');
  return reals ? float32(reals) : undefined;
}

const constant: InferRule = (context) => {
  const tensor = constantTensor(context);
  if (!tensor) throw problem(context, 'has no value that is supported');
  const isVector = tensor.dtype === 'int64' && tensor.shape.length <= 1;
  return [
    {
      dtype: tensor.dtype,
      shape: tensor.shape,
      dims: isVector ? Array.from(tensor.data as BigInt64Array, Number) : undefined,
    },
  ];
};

const range: InferRule = (context) => {
  const [start, limit, delta] = [required(context, 0), required(context, 1), required(context, 2)];
  sameType(context, [start, limit, delta]);
  for (const { shape } of [start, limit, delta]) {
    // onnxruntime takes vectors of one number, too.
    const isNumber = shape.length === 0 || (shape.length === 1 && (shape[0] === 1 || typeof shape[0] === 'string'));
    if (!isNumber) throw problem(context, `found a tensor of shape ${formatShape(shape)}, expected a single number`);
  }
  const values = [0, 1, 2].map((at) => numbersOf(context, at));
  const length = (): Dim => {
    const [from, to, step] = values.map((v) => (Array.isArray(v) ? (v[0] as number) : undefined));
    if (step === 0) throw problem(context, 'the delta is 0');
    if (from === undefined || step === undefined) return unknownDim();
    if (to !== undefined) return Math.max(0, Math.ceil((to - from) / step));
    const symbolic = context.dims(limit)?.[0];
    return from === 0 && step === 1 && symbolic !== undefined ? symbolic : unknownDim();
  };
  return [{ dtype: start.dtype, shape: [length()] }];
};

const eyeLike: InferRule = (context) => {
  const x = rankOf(context, 0, 2);
  const asked = context.attributes.int('dtype', DTYPES[x.dtype].onnx);
  const dtype = dtypeOf(asked);
  if (!dtype) throw problem(context, `attribute "dtype" is ${asked}, which is no supported element type`);
  return [{ dtype, shape: x.shape }];
};

const nonZero: InferRule = (context): readonly Inferred[] => [
  { dtype: 'int64', shape: [required(context, 0).shape.length, unknownDim()] },
];

export const shapeRules: Readonly<Record<string, InferRule>> = {
  Shape: shape,
  Size: size,
  ConstantOfShape: constantOfShape,
  Constant: constant,
  Range: range,
  EyeLike: eyeLike,
  NonZero: nonZero,
};
