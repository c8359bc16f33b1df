/**
 * @file Where a 3 x 3 matrix per image sends the pixels of a grid, in the type of the matrices. Coordinates are taken from
 * the centre of the image, so that float32, where it has to do, spends its bits on distances that matter.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { DType, Tensor } from '../onnx/dtype.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';

/**
 * Type in which places are computed. Float32 leaves them 1e-6 of the image's width off, which a search that goes on for
 * hundreds of steps amplifies; float64 is not to be had on every provider.
 */
export type PlaceType = 'float64' | 'float32';

export interface PixelGrid {
  readonly height: number;
  readonly width: number;
}

export interface ProjectOptions extends PixelGrid {
  /** The last row of an affine matrix is (0, 0, 1): no division. */
  readonly kind: 'affine' | 'perspective';
  /** Factors of the resulting (x, y); 1 leaves pixels. */
  readonly scale?: readonly [number, number];
}

/**
 * T(-c) M T(c) applied to every pixel relative to c = ((W - 1)/2, (H - 1)/2): matrices [N, 3, 3] that map absolute pixel
 * coordinates to places [N, 2, H, W] (x, then y) relative to the centre, times `scale`. Float32 or float64.
 */
export function projectPixels(b: GraphBuilder, matrices: Value, options: ProjectOptions): Value {
  const { height, width, kind, scale = [1, 1] } = options;
  const [n] = matrices.shape;
  const constant = (values: ArrayLike<number>, shape: readonly number[]): Value =>
    b.constant(floating(matrices.dtype, values, shape), 'pixelGrid');
  const cx = (width - 1) / 2;
  const cy = (height - 1) / 2;
  const toCentre = [scale[0], 0, -cx * scale[0], 0, scale[1], -cy * scale[1], 0, 0, 1];
  const rows = kind === 'affine' ? 2 : 3;
  const right = op.matMul(b, matrices, constant([1, 0, cx, 0, 1, cy, 0, 0, 1], [3, 3]));
  const centred = op.matMul(b, constant(toCentre.slice(0, 3 * rows), [rows, 3]), right);
  // Every coordinate is a function of the column plus a function of the row.
  const columns = [...range(width, (x) => x - cx), ...range(width, () => 0), ...range(width, () => 1)];
  const lines = [...range(height, () => 0), ...range(height, (y) => y - cy), ...range(height, () => 0)];
  const byColumn = op.matMul(b, centred, constant(columns, [3, width]));
  const byRow = op.matMul(b, centred, constant(lines, [3, height]));
  const numerators = op.add(
    b,
    op.reshape(b, byColumn, [n!, rows, 1, width]),
    op.reshape(b, byRow, [n!, rows, height, 1]),
  );
  if (kind === 'affine') return numerators;
  const [places, denominator] = op.split(b, numerators, [2, 1], 1) as [Value, Value];
  return op.div(b, places, denominator);
}

/** A tensor of this type, float32 or float64, from numbers. */
export function floating(dtype: DType, values: ArrayLike<number>, shape: readonly number[]): Tensor {
  return dtype === 'float64' ? { dtype, shape, data: Float64Array.from(values) } : float32(values, shape);
}

function range(length: number, value: (at: number) => number): number[] {
  return Array.from({ length }, (_, at) => value(at));
}
