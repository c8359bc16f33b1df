/**
 * @file The adjoint of a bilinear warp with zeros outside, as a gather: every source pixel p sums cotangents of the
 * destination pixels q around its image A p, weighted by tent(s(q) - p), where s(q) is the place at which the warp
 * sampled and tent(x, y) = max(0, 1 - |x|) max(0, 1 - |y|). Nothing is added from two sides at once: the bytes are the
 * same every time, on any device. How wide "around" must be: warp-window.ts.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import type { Dim } from '../onnx/shapes.ts';
import { floating, projectPixels } from './homography.ts';

export interface WarpAdjointOptions {
  /** s(q): where the warp sampled for each destination pixel, [N, 2, H, W], x then y, in source pixels; any float type. */
  readonly places: () => Value;
  /** A: source pixel to destination pixel, [N, 3, 3]. */
  readonly forward: Value;
  /** Destination pixel to source pixel, [N, 3, 3], float32 or float64. */
  readonly inverse: Value;
  readonly kind: 'affine' | 'perspective';
  /** Destination pixels floor(A p - window/2) + 1 ... + window are looked at, on both axes. */
  readonly window: number;
}

/** Cotangent [N, C, H, W] of the warped image to that of the image. */
export function warpAdjointGather(b: GraphBuilder, cotangent: Value, options: WarpAdjointOptions): Value {
  const { places, forward, inverse, kind, window } = options;
  const [n, channels, height, width] = cotangent.shape as [Dim, number, number, number];
  const pixels = height * width;
  const first = firstDestinations(b, forward, { kind, height, width, window });
  const [x, y] = op.split(b, first, [1, 1], 1).map((plane) => op.reshape(b, plane, [n, pixels])) as [Value, Value];
  const columns = columnIndices(b, x, { width, window });
  const lines = lineIndices(b, y, { height, width, window });
  const at = lines.map((line) => op.reshape(b, op.add(b, line, columns), [n, window * pixels]));
  const size = { height, width, window };
  // In float32 the places themselves: computed otherwise they would be rounded otherwise than those that were sampled.
  const isLinear = kind === 'affine' && inverse.dtype === 'float64';
  const distances = isLinear
    ? linearDistances(b, { first, inverse }, size)
    : sampledDistances(b, { places: places(), at }, size);
  const values = framedPlanes(b, cotangent);
  const ones = b.constant(float32(new Float32Array(window).fill(1), [1, window]));
  // A line of the window at a time: few kernels, and what they pass on stays in the cache.
  const totals = distances.map(([dx, dy], line) => {
    const weight = op.mul(b, tent(b, dx), tent(b, dy));
    const take = (plane: Value): Value => op.reshape(b, op.gatherElements(b, plane, at[line]!, 1), [n, window, pixels]);
    return op.concat(
      b,
      values.map((plane) => op.matMul(b, ones, op.mul(b, take(plane), weight))),
      1,
    );
  });
  return op.reshape(b, op.sum(b, totals), [n, channels, height, width]);
}

interface WindowSize {
  readonly height: number;
  readonly width: number;
  readonly window: number;
}

/** s(q) - p as x and y, each [N, window, H * W] float32, for every line of the window. */
type Distances = readonly (readonly [Value, Value])[];

/**
 * Of an affine warp: s(q + (d, e)) = s(q) + d s_x + e s_y with the columns of its matrix. Only the middle of the window is
 * computed in full, in the type of the matrix; what is added to it are numbers near 1.
 */
function linearDistances(
  b: GraphBuilder,
  { first, inverse }: { readonly first: Value; readonly inverse: Value },
  { height, width, window }: WindowSize,
): Distances {
  const [n] = inverse.shape as [Dim];
  const pixels = height * width;
  const { dtype } = inverse;
  const place = (values: readonly number[], shape: readonly number[]): Value =>
    b.constant(floating(dtype, values, shape), 'pixels');
  const part = (from: number, to: number): Value =>
    op.slice(b, inverse, { starts: [0, from], ends: [2, to], axes: [1, 2] });
  const centre = [(width - 1) / 2, (height - 1) / 2] as const;
  const middle = (window - 1) / 2;
  const [slopes, shift] = [part(0, 2), part(2, 3)];
  // Relative to the centre of the image c: M (q - c) + (M c + t - c) - (p - c).
  const toMiddle = place([middle - centre[0], middle - centre[1]], [1, 2, 1]);
  const q = op.add(b, op.cast(b, op.reshape(b, first, [n, 2, pixels]), dtype), toMiddle);
  const offset = op.sub(b, op.add(b, op.matMul(b, slopes, place(centre, [1, 2, 1])), shift), place(centre, [1, 2, 1]));
  const own = place(
    (['x', 'y'] as const).flatMap((axis, at) => coordinates(height, width, axis).map((value) => value - centre[at]!)),
    [1, 2, pixels],
  );
  const distance = op.sub(b, op.add(b, op.matMul(b, slopes, q), offset), own);
  const [dx, dy] = op.split(b, op.cast(b, distance, 'float32'), [1, 1], 1) as [Value, Value];
  const [xs, ys] = op.split(b, op.cast(b, slopes, 'float32'), [1, 1], 1) as [Value, Value];
  const [xx, xy] = op.split(b, xs, [1, 1], 2) as [Value, Value];
  const [yx, yy] = op.split(b, ys, [1, 1], 2) as [Value, Value];
  const steps = Array.from({ length: window }, (_, d) => d - middle);
  const alongLine = b.constant(float32(steps, [1, window, 1]));
  const [lineX, lineY] = [op.add(b, dx, op.mul(b, xx, alongLine)), op.add(b, dy, op.mul(b, yx, alongLine))];
  return steps.map((e) => {
    if (e === 0) return [lineX, lineY];
    return [op.add(b, lineX, op.mulScalar(b, xy, e)), op.add(b, lineY, op.mulScalar(b, yy, e))];
  });
}

/** Of any warp: by the places themselves, taken at the indices `at` [N, window * H * W] of every line. */
function sampledDistances(
  b: GraphBuilder,
  { places, at }: { readonly places: Value; readonly at: readonly Value[] },
  { height, width, window }: WindowSize,
): Distances {
  const [n] = places.shape as [Dim];
  const pixels = height * width;
  const planes = framedPlanes(b, places);
  const own = (['x', 'y'] as const).map((axis) =>
    b.constant(floating(places.dtype, coordinates(height, width, axis), [1, 1, pixels]), 'pixels'),
  );
  return at.map((indices) => {
    const [dx, dy] = planes.map((plane, axis) => {
      const taken = op.reshape(b, op.gatherElements(b, plane, indices, 1), [n, window, pixels]);
      // Below 1 where the weight is not 0, and may be rounded then.
      return op.cast(b, op.sub(b, taken, own[axis]!), 'float32');
    });
    return [dx!, dy!] as const;
  });
}

interface DestinationOptions {
  readonly kind: 'affine' | 'perspective';
  readonly height: number;
  readonly width: number;
  readonly window: number;
}

/** floor(A p - window/2) + 1 for every source pixel p, x and y, [N, 2, H, W]. */
function firstDestinations(b: GraphBuilder, forward: Value, options: DestinationOptions): Value {
  const { kind, height, width, window } = options;
  const images = projectPixels(b, forward, { kind, height, width });
  const shift = float32([(width - 1) / 2 - window / 2, (height - 1) / 2 - window / 2], [1, 2, 1, 1]);
  return op.addScalar(b, op.floor(b, op.add(b, images, b.constant(shift))), 1);
}

/** The planes of [N, K, H, W], each within a frame of zeros that stands for all that is outside: [N, (H + 2) * (W + 2)]. */
function framedPlanes(b: GraphBuilder, planes: Value): Value[] {
  const [n, count, height, width] = planes.shape as [Dim, number, number, number];
  const framed = op.pad(b, planes, [0, 0, 1, 1, 0, 0, 1, 1]);
  const single = Array.from({ length: count }, () => 1);
  return op.split(b, framed, single, 1).map((plane) => op.reshape(b, plane, [n, (height + 2) * (width + 2)]));
}

interface IndexOptions {
  readonly width: number;
  /** Lines or columns of the window. */
  readonly window: number;
}

/** Index of the start of line y + d of the framed plane for every d of the window, each [N, 1, H * W]; lines outside become the frame. */
function lineIndices(b: GraphBuilder, y: Value, { height, width, window }: IndexOptions & { height: number }): Value[] {
  return Array.from({ length: window }, (_, d) => {
    const line = op.clip(b, op.addScalar(b, y, d + 1), { min: 0, max: height + 1 });
    return op.mulScalar(b, op.cast(b, op.unsqueeze(b, line, [1]), 'int32'), width + 2);
  });
}

/** Index of column x + d within a line of the framed plane, for all d of the window, [N, window, H * W]. */
function columnIndices(b: GraphBuilder, x: Value, { width, window }: IndexOptions): Value {
  const offsets = float32(
    Array.from({ length: window }, (_, d) => d + 1),
    [1, window, 1],
  );
  const columns = op.add(b, op.unsqueeze(b, x, [1]), b.constant(offsets));
  return op.cast(b, op.clip(b, columns, { min: 0, max: width + 1 }), 'int32');
}

/** max(0, 1 - |distance|), in one pass behind the absolute value. */
function tent(b: GraphBuilder, distance: Value): Value {
  return op.hardSigmoid(b, op.abs(b, distance), { alpha: -1, beta: 1 });
}

/** x or y of all pixels in reading order. */
function coordinates(height: number, width: number, axis: 'x' | 'y'): number[] {
  return Array.from({ length: height * width }, (_, at) => (axis === 'x' ? at % width : Math.floor(at / width)));
}
