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
import { dimProduct, type Dim } from '../onnx/shapes.ts';
import { projectPixels } from './homography.ts';

export interface WarpAdjointOptions {
  /** s(q): where the warp sampled for each destination pixel, [N, 2, H, W], x then y, in source pixels. */
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
  // A frame of zeros takes the place of all destinations outside.
  const table = flatPlanes(b, op.pad(b, op.concat(b, [places, cotangent], 1), [0, 0, 1, 1, 0, 0, 1, 1]));
  const own = b.constant(float32(coordinates(height, width), [2, 1, pixels]), 'pixels');
  const lines = Array.from({ length: window }, (_, d) => lineIndex(b, first.y, { d, height, width }));
  const columns = Array.from({ length: window }, (_, d) => columnIndex(b, first.x, { d, height, width }));
  let total: Value | undefined;
  for (const line of lines) {
    for (const column of columns) {
      const taken = op.gather(b, table, op.add(b, line, column), 1);
      const [place, value] = op.split(b, taken, [2, channels], 0) as [Value, Value];
      const share = op.mul(b, value, tent(b, place, own));
      total = total ? op.add(b, total, share) : share;
    }
  }
  return op.reshape(b, op.transpose(b, total!, [1, 0, 2]), [n, channels, height, width]);
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

/** Planes [N, K, H, W] as [K, N * H * W]. */
function flatPlanes(b: GraphBuilder, planes: Value): Value {
  const [n, k, height, width] = planes.shape as [Dim, number, number, number];
  return op.reshape(b, op.transpose(b, planes, [1, 0, 2, 3]), [k, dimProduct([n, height * width])]);
}

interface OffsetOptions {
  /** Which line or column of the window. */
  readonly d: number;
  readonly height: number;
  readonly width: number;
}

/** Index of the line y + d of the framed image; lines outside become the frame. */
function lineIndex(b: GraphBuilder, y: Value, { d, height, width }: OffsetOptions): Value {
  const line = op.clip(b, op.addScalar(b, y, d + 1), { min: 0, max: height + 1 });
  return op.mul(b, op.cast(b, line, 'int32'), b.scalar(width + 2, 'int32'));
}

/** Index of the column x + d of the framed image, from the first pixel of all images on. */
function columnIndex(b: GraphBuilder, x: Value, { d, height, width }: OffsetOptions): Value {
  const column = op.clip(b, op.addScalar(b, x, d + 1), { min: 0, max: width + 1 });
  return op.add(b, op.cast(b, column, 'int32'), imageStarts(b, x.shape[0]!, (height + 2) * (width + 2)));
}

/** 0, stride, 2 stride ... for n images, [n, 1]. */
function imageStarts(b: GraphBuilder, n: Dim, stride: number): Value {
  const count = op.squeeze(b, b.shapeVector([n]), [0]);
  const numbers = op.range(b, b.scalar(0, 'int64'), count, b.scalar(1, 'int64'));
  return op.cast(b, op.mulScalar(b, op.reshape(b, numbers, [n, 1]), stride), 'int32');
}

/** Bilinear weights of pixels at distances place - own: [2, N, P] and [2, 1, P] to [1, N, P]. */
function tent(b: GraphBuilder, place: Value, own: Value): Value {
  const distance = op.abs(b, op.sub(b, place, own));
  const [x, y] = op.split(b, op.relu(b, op.sub(b, b.scalar(1), distance)), [1, 1], 0) as [Value, Value];
  return op.mul(b, x, y);
}

/** x of all pixels in reading order, then y of all. */
function coordinates(height: number, width: number): number[] {
  const pixels = Array.from({ length: height * width }, (_, at) => at);
  return [...pixels.map((at) => at % width), ...pixels.map((at) => Math.floor(at / width))];
}
