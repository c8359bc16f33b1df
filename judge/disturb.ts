/**
 * @file What cameras and decoders do to a good drawing: noise and blur. A judge should not mind them.
 */
import { PIXELS, SIZE, type Picture } from './picture.ts';
import type { Random } from './random.ts';

/** Adds independent normal noise to each value; not cut to 0..1. */
export function addNoise(picture: Picture, deviation: number, random: Random): Picture {
  return picture.map((value) => value + deviation * random.normal());
}

/** Gaussian blur, the picture mirrored at its border (edge pixel repeated). `sigma` in pixels. */
export function blur(picture: Picture, sigma: number): Picture {
  const reach = Math.ceil(4 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / sigma) ** 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const along = (source: Picture, stride: number): Picture =>
    source.map((_, at) => {
      const position = Math.floor((at % PIXELS) / stride) % SIZE;
      return weights.reduce((sum, weight, i) => {
        const other = mirrored(position + i - reach);
        return sum + (weight / total) * source[at + (other - position) * stride]!;
      }, 0);
    });
  return along(along(picture, 1), SIZE);
}

function mirrored(position: number): number {
  if (position < 0) return -1 - position;
  return position < SIZE ? position : 2 * SIZE - 1 - position;
}
