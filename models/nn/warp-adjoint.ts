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
  const first = firstDestinations(b, forward, { kind, height, width, window });
  const lines = Array.from({ length: window }, (_, d) => lineIndex(b, first.y, { d, height, width }));
  const columns = Array.from({ length: window }, (_, d) => columnIndex(b, first.x, { d, width }));
  const x = framedPlane(b, places, 0);
  const y = framedPlane(b, places, 1);
  const values = Array.from({ length: channels }, (_, channel) => framedPlane(b, cotangent, channel));
  const own = (axis: 'x' | 'y'): Value =>
    b.constant(floating(places.dtype, coordinates(height, width, axis), [1, height * width]), 'pixels');
  const [ownX, ownY] = [own('x'), own('y')];
  const totals: Value[] = [];
  for (const line of lines) {
    for (const column of columns) {
      const at = op.add(b, line, column);
      const take = (plane: Value): Value => op.gatherElements(b, plane, at, 1);
      const weight = op.mul(b, tent(b, take(x), ownX), tent(b, take(y), ownY));
      values.forEach((plane, channel) => {
        const share = op.mul(b, take(plane), weight);
        const total = totals[channel];
        totals[channel] = total ? op.add(b, total, share) : share;
      });
    }
  }
  const planes = totals.map((total) => op.reshape(b, total, [n, 1, height, width]));
  return op.concat(b, planes, 1);
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

/** One plane of [N, K, H, W] within a frame of zeros, which stands for all that is outside: [N, (H + 2) * (W + 2)]. */
function framedPlane(b: GraphBuilder, planes: Value, k: number): Value {
  const [n, , height, width] = planes.shape as [Dim, number, number, number];
  const plane = op.slice(b, planes, { starts: [k], ends: [k + 1], axes: [1] });
  return op.reshape(b, op.pad(b, plane, [0, 0, 1, 1, 0, 0, 1, 1]), [n, (height + 2) * (width + 2)]);
}

interface OffsetOptions {
  /** Which line or column of the window. */
  readonly d: number;
  readonly width: number;
}

/** Index of the start of line y + d of the framed plane; lines outside become the frame. */
function lineIndex(b: GraphBuilder, y: Value, { d, height, width }: OffsetOptions & { height: number }): Value {
  const line = op.clip(b, op.addScalar(b, y, d + 1), { min: 0, max: height + 1 });
  return op.mulScalar(b, op.cast(b, line, 'int32'), width + 2);
}

/** Index of column x + d within a line of the framed plane. */
function columnIndex(b: GraphBuilder, x: Value, { d, width }: OffsetOptions): Value {
  return op.cast(b, op.clip(b, op.addScalar(b, x, d + 1), { min: 0, max: width + 1 }), 'int32');
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
