/**
 * @file Pictures as the judge looks at them: 64 pixels square, three planes of numbers in 0..1. Larger ones are averaged
 * down, so that every threshold of this room has one meaning.
 */
import { RefereeError } from '../errors.ts';
import type { Rgb } from './scene.ts';

/** Side in pixels of the pictures that verdicts are made on. */
export const SIZE = 64;
export const PIXELS = SIZE * SIZE;

/** Float32Array: [3, H, W] in 0..1, beyond which is cut. Bytes: [H, W, 3]. H = W, a multiple of 64. */
export type Pixels = Float32Array | Uint8Array | Uint8ClampedArray;

/** [3, 64, 64] in 0..1. */
export type Picture = Float32Array;

/**
 * The picture that verdicts are made on.
 *
 * @throws RefereeError `InvalidInput` for another size, or for values that are no numbers
 */
export function toPicture(pixels: Pixels): Picture {
  const side = Math.round(Math.sqrt(pixels.length / 3));
  if (side === 0 || side % SIZE !== 0 || 3 * side * side !== pixels.length) {
    throw new RefereeError(
      'InvalidInput',
      `picture: found ${pixels.length} values, expected 3 x side x side with a side of 64, 128, 192 ...`,
    );
  }
  const isPlanar = pixels instanceof Float32Array;
  const step = side / SIZE;
  const scale = 1 / (step * step * (isPlanar ? 1 : 255));
  const picture = new Float32Array(3 * PIXELS);
  for (let channel = 0; channel < 3; channel += 1) {
    for (let row = 0; row < side; row += 1) {
      const target = channel * PIXELS + Math.floor(row / step) * SIZE;
      for (let column = 0; column < side; column += 1) {
        const value = isPlanar
          ? Math.min(1, Math.max(0, pixels[(channel * side + row) * side + column]!))
          : pixels[(row * side + column) * 3 + channel]!;
        picture[target + Math.floor(column / step)]! += value * scale;
      }
    }
  }
  const broken = picture.findIndex(Number.isNaN);
  if (broken >= 0) {
    throw new RefereeError('InvalidInput', `picture: found NaN near value ${broken}, expected numbers`);
  }
  return picture;
}

/** Colour of pixel `at` = row * 64 + column. */
export function colourAt(picture: Picture, at: number): Rgb {
  return [picture[at]!, picture[at + PIXELS]!, picture[at + 2 * PIXELS]!];
}

/** Median of each channel over some pixels; the mean of the middle two of an even number. */
export function medianColour(picture: Picture, pixels: readonly number[]): Rgb {
  const median = (plane: number): number => {
    const sorted = Float32Array.from(pixels, (at) => picture[at + plane * PIXELS]!).sort();
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  };
  return [median(0), median(1), median(2)];
}

/** Mean of each pixel and its eight neighbours within the picture: noise falls to a third. */
export function smoothed(picture: Picture): Picture {
  return meanOfThree(meanOfThree(picture, 1), SIZE);
}

/** Of each pixel and its two neighbours in rows (stride 1) or columns (stride 64); two at the border. */
function meanOfThree(picture: Picture, stride: 1 | typeof SIZE): Picture {
  const means = new Float32Array(picture.length);
  for (let at = 0; at < picture.length; at += 1) {
    const position = stride === 1 ? at % SIZE : Math.floor(at / SIZE) % SIZE;
    const before = position > 0 ? picture[at - stride]! : 0;
    const after = position < SIZE - 1 ? picture[at + stride]! : 0;
    means[at] = (before + picture[at]! + after) / (position > 0 && position < SIZE - 1 ? 3 : 2);
  }
  return means;
}
