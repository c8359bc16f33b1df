/**
 * @file One function per operator: ONNX's names in camel case, ONNX's defaults in the signature, settings as plain
 * arguments even where ONNX passes them as inputs. Each appends a node and returns its (first) output.
 */
import type { GraphBuilder } from './builder.ts';
import type { DType, Tensor } from './dtype.ts';
import { DTYPES } from './dtype.ts';
import type { Attributes, Value } from './graph.ts';
import { float, int, ints, text } from './graph.ts';
import type { Dim } from './shapes.ts';
import { isStatic, sameShape } from './shapes.ts';

type Unary = (b: GraphBuilder, x: Value) => Value;
type Binary = (b: GraphBuilder, x: Value, y: Value) => Value;

const unary =
  (op: string, attributes: Attributes = {}): Unary =>
  (b, x) =>
    b.node(op, [x], attributes)[0]!;
const binary =
  (op: string): Binary =>
  (b, x, y) =>
    b.node(op, [x, y])[0]!;

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
export const nonZero = unary('NonZero');
export const globalAveragePool = unary('GlobalAveragePool');
export const globalMaxPool = unary('GlobalMaxPool');

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
export const matMul = binary('MatMul');

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

export function softmax(b: GraphBuilder, x: Value, axis = -1): Value {
  return b.node('Softmax', [x], { axis: int(axis) })[0]!;
}

export function logSoftmax(b: GraphBuilder, x: Value, axis = -1): Value {
  return b.node('LogSoftmax', [x], { axis: int(axis) })[0]!;
}

export function layerNormalization(
  b: GraphBuilder,
  x: Value,
  scale: Value,
  bias: Value | undefined,
  { axis = -1, epsilon = 1e-5 }: { axis?: number; epsilon?: number } = {},
): Value {
  return b.node('LayerNormalization', [x, scale, bias], { axis: int(axis), epsilon: float(epsilon) })[0]!;
}

/** Scale and bias per channel, as since operator set 21. */
export function groupNormalization(
  b: GraphBuilder,
  x: Value,
  scale: Value,
  bias: Value,
  { numGroups, epsilon = 1e-5 }: { numGroups: number; epsilon?: number },
): Value {
  return b.node('GroupNormalization', [x, scale, bias], { num_groups: int(numGroups), epsilon: float(epsilon) })[0]!;
}

interface ReduceOptions {
  /** All axes if absent. An empty list reduces nothing. */
  readonly axes?: readonly number[];
  readonly keepdims?: boolean;
}

const reduction =
  (op: string) =>
  (b: GraphBuilder, x: Value, { axes, keepdims = true }: ReduceOptions = {}): Value => {
    if (axes?.length === 0) return x;
    return b.node(op, [x, axes && b.int64(axes)], { keepdims: int(keepdims ? 1 : 0) })[0]!;
  };

export const reduceSum = reduction('ReduceSum');
export const reduceMean = reduction('ReduceMean');
export const reduceMax = reduction('ReduceMax');
export const reduceMin = reduction('ReduceMin');
export const reduceL2 = reduction('ReduceL2');

export interface GemmOptions {
  readonly alpha?: number;
  readonly beta?: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/** alpha A' B' + beta C of matrices. */
export function gemm(b: GraphBuilder, x: Value, y: Value, c?: Value, options: GemmOptions = {}): Value {
  const { alpha = 1, beta = 1, transA = false, transB = false } = options;
  return b.node('Gemm', [x, y, c], {
    alpha: float(alpha),
    beta: float(beta),
    transA: int(transA ? 1 : 0),
    transB: int(transB ? 1 : 0),
  })[0]!;
}

export function einsum(b: GraphBuilder, equation: string, operands: readonly Value[]): Value {
  return b.node('Einsum', operands, { equation: text(equation) })[0]!;
}

export interface ConvOptions {
  readonly strides?: readonly number[];
  /** Begins of all spatial axes, then ends. */
  readonly pads?: readonly number[];
  readonly dilations?: readonly number[];
  readonly group?: number;
}

function convAttributes({ strides, pads, dilations, group = 1 }: ConvOptions): Attributes {
  return {
    ...(strides && { strides: ints(strides) }),
    ...(pads && { pads: ints(pads) }),
    ...(dilations && { dilations: ints(dilations) }),
    group: int(group),
  };
}

/** x [N, C, ...], w [M, C/group, ...], bias [M]. */
export function conv(b: GraphBuilder, x: Value, w: Value, bias?: Value, options: ConvOptions = {}): Value {
  return b.node('Conv', [x, w, bias], convAttributes(options))[0]!;
}

/** x [N, C, ...], w [C, M/group, ...], bias [M]. */
export function convTranspose(
  b: GraphBuilder,
  x: Value,
  w: Value,
  bias?: Value,
  { outputPadding, ...options }: ConvOptions & { readonly outputPadding?: readonly number[] } = {},
): Value {
  return b.node('ConvTranspose', [x, w, bias], {
    ...convAttributes(options),
    ...(outputPadding && { output_padding: ints(outputPadding) }),
  })[0]!;
}

export interface PoolOptions {
  readonly kernelShape: readonly number[];
  readonly strides?: readonly number[];
  readonly pads?: readonly number[];
  readonly ceilMode?: boolean;
  /** Average pooling: whether padding counts as zeros. */
  readonly countIncludePad?: boolean;
}

function poolAttributes({ kernelShape, strides, pads, ceilMode }: PoolOptions): Attributes {
  return {
    kernel_shape: ints(kernelShape),
    ...(strides && { strides: ints(strides) }),
    ...(pads && { pads: ints(pads) }),
    ...(ceilMode && { ceil_mode: int(1) }),
  };
}

export function averagePool(b: GraphBuilder, x: Value, options: PoolOptions): Value {
  return b.node('AveragePool', [x], {
    ...poolAttributes(options),
    ...(options.countIncludePad && { count_include_pad: int(1) }),
  })[0]!;
}

export function maxPool(b: GraphBuilder, x: Value, options: PoolOptions): Value {
  return b.node('MaxPool', [x], poolAttributes(options))[0]!;
}

/** Without `perm` all axes are reversed. */
export function transpose(b: GraphBuilder, x: Value, perm?: readonly number[]): Value {
  return b.node('Transpose', [x], perm ? { perm: ints(perm) } : {})[0]!;
}

/** Exchanges the last two axes. */
export function transposeMatrix(b: GraphBuilder, x: Value): Value {
  const rank = x.shape.length;
  return transpose(
    b,
    x,
    x.shape.map((_, axis) => (axis === rank - 2 ? rank - 1 : axis === rank - 1 ? rank - 2 : axis)),
  );
}

/**
 * Same elements under another shape. Sizes may be symbolic: one of them is written as -1, more are read from other values
 * at run time.
 */
export function reshape(b: GraphBuilder, x: Value, shape: readonly Dim[]): Value {
  if (sameShape(x.shape, shape)) return x;
  const symbolic = shape.filter((dim) => typeof dim === 'string');
  const isEmpty = shape.includes(0);
  const vector =
    symbolic.length === 1 && !isEmpty
      ? b.int64(shape.map((dim) => (typeof dim === 'number' ? dim : -1)))
      : b.shapeVector(shape);
  return b.node('Reshape', [x, vector], isEmpty ? { allowzero: int(1) } : {})[0]!;
}

/** Reshape to the contents of an int64 vector. */
export function reshapeTo(b: GraphBuilder, x: Value, shape: Value): Value {
  return b.node('Reshape', [x, shape], { allowzero: int(1) })[0]!;
}

/** The sizes of `x` as an int64 vector: a constant where they are known. */
export function shape(b: GraphBuilder, x: Value): Value {
  return isStatic(x.shape) ? b.int64(x.shape) : b.node('Shape', [x])[0]!;
}

export function concat(b: GraphBuilder, values: readonly Value[], axis: number): Value {
  return values.length === 1 ? values[0]! : b.node('Concat', values, { axis: int(axis) })[0]!;
}

/** Pieces of these sizes along `axis`. */
export function split(b: GraphBuilder, x: Value, sizes: readonly number[], axis: number): Value[] {
  return b.node('Split', [x, b.int64(sizes)], { axis: int(axis) }, sizes.length);
}

export interface SliceOptions {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  readonly steps?: readonly number[];
}

/** An end of `TO_THE_END` takes the rest of the axis. */
export const TO_THE_END = 2 ** 53 - 1;

export function slice(b: GraphBuilder, x: Value, { starts, ends, axes, steps }: SliceOptions): Value {
  return b.node('Slice', [x, b.int64(starts), b.int64(ends), b.int64(axes), steps && b.int64(steps)])[0]!;
}

export function gather(b: GraphBuilder, data: Value, indices: Value, axis = 0): Value {
  return b.node('Gather', [data, indices], { axis: int(axis) })[0]!;
}

export function gatherElements(b: GraphBuilder, data: Value, indices: Value, axis = 0): Value {
  return b.node('GatherElements', [data, indices], { axis: int(axis) })[0]!;
}

export function gatherNd(b: GraphBuilder, data: Value, indices: Value, batchDims = 0): Value {
  return b.node('GatherND', [data, indices], { batch_dims: int(batchDims) })[0]!;
}

export function scatterNd(
  b: GraphBuilder,
  data: Value,
  indices: Value,
  updates: Value,
  reduction: 'none' | 'add' = 'none',
): Value {
  return b.node('ScatterND', [data, indices, updates], { reduction: text(reduction) })[0]!;
}

export function scatterElements(
  b: GraphBuilder,
  data: Value,
  indices: Value,
  updates: Value,
  { axis = 0, reduction = 'none' }: { axis?: number; reduction?: 'none' | 'add' } = {},
): Value {
  return b.node('ScatterElements', [data, indices, updates], { axis: int(axis), reduction: text(reduction) })[0]!;
}

/** Repeats axes of size 1; sizes may be symbolic. */
export function expand(b: GraphBuilder, x: Value, to: readonly Dim[]): Value {
  return sameShape(x.shape, to) ? x : b.node('Expand', [x, b.shapeVector(to)])[0]!;
}

/** Expand to the contents of an int64 vector. */
export function expandTo(b: GraphBuilder, x: Value, to: Value): Value {
  return b.node('Expand', [x, to])[0]!;
}

export function tile(b: GraphBuilder, x: Value, repeats: readonly number[]): Value {
  return b.node('Tile', [x, b.int64(repeats)])[0]!;
}

export function squeeze(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  return axes.length === 0 ? x : b.node('Squeeze', [x, b.int64(axes)])[0]!;
}

export function unsqueeze(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  return axes.length === 0 ? x : b.node('Unsqueeze', [x, b.int64(axes)])[0]!;
}

/** `pads`: begins of all axes, then ends; negative ones crop. */
export function pad(
  b: GraphBuilder,
  x: Value,
  pads: readonly number[],
  mode: 'constant' | 'reflect' | 'edge' = 'constant',
): Value {
  return b.node('Pad', [x, b.int64(pads)], { mode: text(mode) })[0]!;
}

export function cumSum(b: GraphBuilder, x: Value, axis: number, { exclusive = false, reverse = false } = {}): Value {
  return b.node('CumSum', [x, b.scalar(axis, 'int64')], {
    exclusive: int(exclusive ? 1 : 0),
    reverse: int(reverse ? 1 : 0),
  })[0]!;
}

/** Keeps the triangle below (or above) the k-th diagonal, zeros elsewhere. */
export function trilu(b: GraphBuilder, x: Value, { upper = true, k = 0 }: { upper?: boolean; k?: number } = {}): Value {
  return b.node('Trilu', [x, b.scalar(k, 'int64')], { upper: int(upper ? 1 : 0) })[0]!;
}

export interface ResizeOptions {
  readonly mode?: 'nearest' | 'linear' | 'cubic';
  readonly coordinateTransformationMode?: 'half_pixel' | 'asymmetric' | 'align_corners' | 'pytorch_half_pixel';
  readonly nearestMode?: 'floor' | 'round_prefer_floor' | 'round_prefer_ceil' | 'ceil';
  readonly cubicCoeffA?: number;
  readonly antialias?: boolean;
  readonly excludeOutside?: boolean;
}

/** To these sizes, one per axis. */
export function resize(b: GraphBuilder, x: Value, sizes: readonly Dim[], options: ResizeOptions = {}): Value {
  const { mode = 'nearest', coordinateTransformationMode = 'half_pixel', nearestMode = 'round_prefer_floor' } = options;
  return b.node('Resize', [x, undefined, undefined, b.shapeVector(sizes)], {
    mode: text(mode),
    coordinate_transformation_mode: text(coordinateTransformationMode),
    nearest_mode: text(nearestMode),
    cubic_coeff_a: float(options.cubicCoeffA ?? -0.75),
    antialias: int(options.antialias ? 1 : 0),
    exclude_outside: int(options.excludeOutside ? 1 : 0),
  })[0]!;
}

export interface GridSampleOptions {
  readonly mode?: 'linear' | 'nearest' | 'cubic';
  readonly paddingMode?: 'zeros' | 'border' | 'reflection';
  readonly alignCorners?: boolean;
}

/** x [N, C, H, W] sampled at grid [N, H', W', 2] of (x, y) in -1..1. */
export function gridSample(b: GraphBuilder, x: Value, grid: Value, options: GridSampleOptions = {}): Value {
  const { mode = 'linear', paddingMode = 'zeros', alignCorners = false } = options;
  return b.node('GridSample', [x, grid], {
    mode: text(mode),
    padding_mode: text(paddingMode),
    align_corners: int(alignCorners ? 1 : 0),
  })[0]!;
}

/** start, start + delta, ... below limit, of scalars of one type. */
export function range(b: GraphBuilder, start: Value, limit: Value, delta: Value): Value {
  return b.node('Range', [start, limit, delta])[0]!;
}

/** A tensor of `value` (one element) with the sizes in an int64 vector. */
export function constantOfShape(b: GraphBuilder, shapeVector: Value, value: Tensor): Value {
  return b.node('ConstantOfShape', [shapeVector], { value: { type: 'tensor', value } })[0]!;
}

/** Zeros with the type and shape of `x`. */
export function zerosLike(b: GraphBuilder, x: Value): Value {
  return expandTo(b, b.scalar(0, x.dtype), shape(b, x));
}
