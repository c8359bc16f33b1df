import { expect, test } from 'vitest';

import { scalar } from '../../../models/onnx/dtype.ts';
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '../../../models/onnx/half.ts';

/** All bit patterns of numbers, in the order of the numbers. */
const PATTERNS = Array.from({ length: 0x7c01 }, (_, bits) => bits);

test('every binary16 comes back, of both signs, and what lies between two goes to the nearer one', () => {
  const wrong = PATTERNS.filter((bits) => {
    const value = fromFloat16(bits);
    if (toFloat16(value) !== bits || toFloat16(-value) !== (bits | 0x8000)) return true;
    if (bits >= 0x7bff) return false;
    const next = fromFloat16(bits + 1);
    const even = bits % 2 === 0 ? bits : bits + 1;
    const at = (share: number): number => toFloat16(value + share * (next - value));
    return at(0.25) !== bits || at(0.75) !== bits + 1 || at(0.5) !== even;
  });
  expect(wrong).toEqual([]);
  expect([65519, 65520, -1e9, NaN, Infinity, 2 ** -26].map(toFloat16)).toEqual([
    0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x7c00, 0,
  ]);
});

test('bfloat16 is the upper half of a float32, rounded', () => {
  expect([1, -2, 0.5, Infinity, 3.4e38].map(toBfloat16)).toEqual([0x3f80, 0xc000, 0x3f00, 0x7f80, 0x7f80]);
  const third = fromBfloat16(toBfloat16(1 / 3));
  expect(Math.abs(third - 1 / 3)).toBeLessThan(2 ** -10);
  // Halfway between two: the even one.
  expect([1 + 2 ** -8, 1 + 3 * 2 ** -8].map(toBfloat16)).toEqual([0x3f80, 0x3f82]);
  expect(scalar(0.5, 'bfloat16').data[0]).toBe(0x3f00);
  expect(scalar(0.5, 'float16').data[0]).toBe(0x3800);
});
