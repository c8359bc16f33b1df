/**
 * @file Pixel noise at the price of a copy: one bank of normal numbers from a fixed key, of which every cutout of every
 * step gets a contiguous window at a random offset and with a random sign. Augmentation noise needs no more.
 */
import { integerBetween, normals, philoxKey, STREAMS } from './random.ts';

/** The first decimals of pi: the bank is the same for every seed, and part of the file format as the streams are. */
const BANK_KEY = philoxKey(0x243f6a8885a308d3n);

const SMALLEST_BANK = 2 ** 20;
/** Offsets are drawn with 24 bits; 64 MiB of float32. */
const LARGEST_BANK = 2 ** 24;
const WINDOWS_PER_BANK = 16;

export interface NoiseBank {
  readonly values: Float32Array;
  /** Values of one window. */
  readonly window: number;
}

/** How many values a bank holds for windows of a size: sixteen windows within 4 to 64 MiB, but always two. */
export function noiseBankLength(window: number): number {
  return Math.max(Math.min(Math.max(window * WINDOWS_PER_BANK, SMALLEST_BANK), LARGEST_BANK), 2 * window);
}

/** The bank for windows of `window` values; the same values on every call, so build it once per process. */
export function noiseBank(window: number): NoiseBank {
  const values = normals({ key: BANK_KEY, stream: STREAMS.pixelNoise, step: 0 }, noiseBankLength(window));
  return { values, window };
}

/** Fills `target`, of one window's length, with the window that two uniforms of (0, 1) choose. */
export function copyWindow(bank: NoiseBank, target: Float32Array, place: number, sign: number): void {
  const offset = integerBetween(place, 0, bank.values.length - bank.window + 1);
  const source = bank.values.subarray(offset, offset + bank.window);
  if (sign < 0.5) target.set(source);
  else for (let i = 0; i < source.length; i++) target[i] = -source[i]!;
}
