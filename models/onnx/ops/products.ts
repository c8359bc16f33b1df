/**
 * @file Matrix products, convolutions, pooling.
 */
import type { GraphBuilder } from '../builder.ts';
import type { Attributes, Value } from '../graph.ts';
import { float, int, ints, text } from '../graph.ts';
import { binary, unary } from './arity.ts';

export const matMul = binary('MatMul');
export const globalAveragePool = unary('GlobalAveragePool');
export const globalMaxPool = unary('GlobalMaxPool');

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
