/**
 * @file Images in memory: 8-bit RGB, row by row, and how a decoder's planes of 0..1 become it.
 */
import { RefereeError } from '../errors.ts';

export interface Rgb8 {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3] */
  readonly data: Uint8Array;
}

/** pixels01 [3, height, width] in 0..1 -> [height, width, 3] in 0..255, rounded; what lies outside 0..1 is clamped. */
export function toRgb8(pixels01: Float32Array, width: number, height: number): Rgb8 {
  const plane = width * height;
  if (pixels01.length !== 3 * plane) {
    throw new RefereeError(
      'Internal',
      `image of ${width}x${height} needs ${3 * plane} values, found ${pixels01.length}`,
    );
  }
  const data = new Uint8Array(3 * plane);
  for (let p = 0; p < plane; p++) {
    for (let c = 0; c < 3; c++) data[3 * p + c] = Math.round(255 * Math.min(1, Math.max(0, pixels01[c * plane + p]!)));
  }
  return { width, height, data };
}

/** RGBA with full opacity, as a canvas takes it. */
export function toRgba8({ width, height, data }: Rgb8): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let p = 0; p < width * height; p++) rgba.set(data.subarray(3 * p, 3 * p + 3), 4 * p);
  return rgba;
}
