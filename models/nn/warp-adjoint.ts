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
  readonly places: Value;
  /** A: source pixel to destination pixel, [N, 3, 3]. */
  readonly forward: Value;
  readonly kind: 'affine' | 'perspective';
  /** Destination pixels floor(A p - window/2) + 1 ... + window are looked at, on both axes. */
  readonly window: number;
}

/** Cotangent [N, C, H, W] of the warped image to that of the image. */
export function warpAdjointGather(b: GraphBuilder, cotangent: Value, options: WarpAdjointOptions): Value {
  const { places, forward, kind, window } = options;
  const [n, channels, height, width] = cotangent.shape as [Dim, number, number, number];
  const pixels = height * width;
  const first = firstDestinations(b, forward, { kind, height, width, window });
  const columns = columnIndices(b, first.x, { width, window });
  const lines = lineIndices(b, first.y, { height, width, window });
  const [x, y] = framedPlanes(b, places) as [Value, Value];
  const values = framedPlanes(b, cotangent);
  const own = (axis: 'x' | 'y'): Value =>
    b.constant(floating(places.dtype, coordinates(height, width, axis), [1, 1, pixels]), 'pixels');
  const [ownX, ownY] = [own('x'), own('y')];
  const ones = b.constant(float32(new Float32Array(window).fill(1), [1, window]));
  // A line of the window at a time: few kernels, and what they pass on stays in the cache.
  const totals = lines.map((line) => {
    const at = op.reshape(b, op.add(b, line, columns), [n, window * pixels]);
    const take = (plane: Value): Value => op.reshape(b, op.gatherElements(b, plane, at, 1), [n, window, pixels]);
    const weight = op.mul(b, tent(b, take(x), ownX), tent(b, take(y), ownY));
    return op.concat(
      b,
      values.map((plane) => op.matMul(b, ones, op.mul(b, take(plane), weight))),
      1,
    );
  });
  return op.reshape(b, op.sum(b, totals), [n, channels, height, width]);
}

interface DestinationOptions {
  readonly kind: 'affine' | 'perspective';
  readonly height: number;
  readonly width: number;
  readonly window: number;
}

/** floor(A p - window/2) + 1 for every source pixel p, as x and y, each [N, H * W]. */
function firstDestinations(b: GraphBuilder, forward: Value, options: DestinationOptions): { x: Value; y: Value } {
  const { kind, height, width, window } = options;
  const images = projectPixels(b, forward, { kind, height, width });
  const shift = float32([(width - 1) / 2 - window / 2, (height - 1) / 2 - window / 2], [1, 2, 1, 1]);
  const first = op.addScalar(b, op.floor(b, op.add(b, images, b.constant(shift))), 1);
  const [x, y] = op.split(b, first, [1, 1], 1) as [Value, Value];
  const flat = (plane: Value): Value => op.reshape(b, plane, [forward.shape[0]!, height * width]);
  return { x: flat(x), y: flat(y) };
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

/** max(0, 1 - |place - own|), float32: the difference is below 1 where this is not 0, and may be rounded then. */
function tent(b: GraphBuilder, place: Value, own: Value): Value {
  const difference = op.cast(b, op.sub(b, place, own), 'float32');
  return op.relu(b, op.sub(b, b.scalar(1), op.abs(b, difference)));
}

/** x or y of all pixels in reading order. */
function coordinates(height: number, width: number, axis: 'x' | 'y'): number[] {
  return Array.from({ length: height * width }, (_, at) => (axis === 'x' ? at % width : Math.floor(at / width)));
}
