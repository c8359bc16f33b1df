import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from '../../../models/weights/dtype.ts';

const ALL = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** Distance to the nearest of `grid`, the larger index's parity deciding ties: what rounding means, by search. */
function nearest(x: number, grid: readonly { bits: number; value: number }[]): number {
  let best = grid[0]!;
  for (const point of grid) {
    const closer = Math.abs(point.value - x) - Math.abs(best.value - x);
    if (closer < 0 || (closer === 0 && point.bits % 2 === 0)) best = point;
  }
  return best.bits;
}

describe('float16', () => {
  it.each([
    [0x0000, 0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
  ])('%i is %d', (half, value) => {
    expect(float16ToFloat32(Uint16Array.of(half))[0]).toBe(value);
  });

  it('survives the way to float32 and back, every value', () => {
    const back = float32ToFloat16(float16ToFloat32(ALL));
    const isNaNBits = (bits: number): boolean => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
    for (const bits of ALL) expect(isNaNBits(bits) ? isNaNBits(back[bits]!) : back[bits] === bits).toBe(true);
  });

  it.each([
    [65519, 0x7bff],
    [65520, 0x7c00],
    [-70000, 0xfc00],
    [2 ** -25, 0x0000],
    [1.5 * 2 ** -24, 0x0002],
    [2 ** -26, 0x0000],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [2 - 2 ** -12, 0x4000],
    [-0, 0x8000],
  ])('%d rounds to %i', (value, half) => {
    expect(float32ToFloat16(Float32Array.of(value))[0]).toBe(half);
  });

  it('takes the nearest value', () => {
    const grid = [...ALL.subarray(0, 0x7c00)].map((bits) => ({
      bits,
      value: float16ToFloat32(Uint16Array.of(bits))[0]!,
    }));
    const magnitude = fc.float({ min: 0, max: 65504, noNaN: true });
    fc.assert(
      fc.property(magnitude, (x) => {
        expect(float32ToFloat16(Float32Array.of(x))[0]).toBe(nearest(Math.fround(x), grid));
      }),
      { numRuns: 200 },
    );
  });
});

describe('bfloat16', () => {
  it.each([
    [0x3f80, 1],
    [0xc040, -3],
    [0x4049, 3.140625],
    [0x7f80, Infinity],
    [0x8000, -0],
  ])('%i is %d', (brain, value) => {
    expect(bfloat16ToFloat32(Uint16Array.of(brain))[0]).toBe(value);
  });

  it('survives the way to float32 and back, every value', () => {
    const values = bfloat16ToFloat32(ALL);
    const back = float32ToBfloat16(values);
    for (const bits of ALL) expect(Number.isNaN(values[bits]) ? back[bits] === 0x7fc0 : back[bits] === bits).toBe(true);
  });

  it.each([
    [1 + 2 ** -8, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3f82],
    [1 + 2 ** -8 + 2 ** -20, 0x3f81],
    [3.4028234663852886e38, 0x7f80],
    [NaN, 0x7fc0],
  ])('%d rounds to %i', (value, brain) => {
    expect(float32ToBfloat16(Float32Array.of(value))[0]).toBe(brain);
  });
});
