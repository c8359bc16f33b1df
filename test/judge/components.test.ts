import fc from 'fast-check';
import { expect, test } from 'vitest';

import { connectedParts, dilate, erode, maskOf, open, pixelsOf } from '../../judge/components.ts';
import { PIXELS, SIZE } from '../../judge/picture.ts';

const masks = fc.array(fc.nat(PIXELS - 1), { minLength: 0, maxLength: 3000 }).map(maskOf);

function rectangle(left: number, top: number, width: number, height: number): number[] {
  return Array.from({ length: width * height }, (_, i) => (top + Math.floor(i / width)) * SIZE + left + (i % width));
}

test('parts touch by edges, not by corners, and come in the order of their first pixel', () => {
  const [a, b, c] = [rectangle(10, 5, 3, 4), rectangle(13, 9, 2, 2), rectangle(0, 60, 64, 4)];
  const parts = connectedParts(maskOf([...c, ...b, ...a]));
  expect(parts.map((part) => part.toSorted((x, y) => x - y))).toEqual([a, b, c]);
});

test('rows do not continue at the other side of the picture', () => {
  expect(connectedParts(maskOf([SIZE - 1, SIZE]))).toHaveLength(2);
});

test('parts divide the set, and no two of them are neighbours', () => {
  fc.assert(
    fc.property(masks, (mask) => {
      const parts = connectedParts(mask);
      expect(parts.flat().toSorted((a, b) => a - b)).toEqual(pixelsOf(mask));
      const owner = new Map(parts.flatMap((part, i) => part.map((at) => [at, i] as const)));
      for (const [at, i] of owner) {
        if (at % SIZE < SIZE - 1) expect(owner.get(at + 1) ?? i).toBe(i);
        expect(owner.get(at + SIZE) ?? i).toBe(i);
      }
    }),
    { numRuns: 20 },
  );
});

test('erosion takes a rectangle in by one pixel, dilation adds its four sides', () => {
  const mask = maskOf(rectangle(20, 30, 6, 5));
  expect(pixelsOf(erode(mask))).toEqual(rectangle(21, 31, 4, 3));
  expect(pixelsOf(dilate(mask))).toHaveLength(6 * 5 + 2 * (6 + 5));
});

test('the outermost pixels of the picture are eroded', () => {
  expect(pixelsOf(erode(new Uint8Array(PIXELS).fill(1)))).toEqual(rectangle(1, 1, SIZE - 2, SIZE - 2));
});

test('within the picture, eroding a set is dilating its complement', () => {
  fc.assert(
    fc.property(masks, (mask) => {
      const complement = mask.map((value) => 1 - value);
      const inner = maskOf(rectangle(1, 1, SIZE - 2, SIZE - 2));
      const expected = dilate(complement).map((value, at) => (1 - value) & inner[at]!);
      expect(erode(mask)).toEqual(expected);
    }),
    { numRuns: 20 },
  );
});

test('opening drops a bridge one pixel wide and is done once', () => {
  const mask = maskOf([...rectangle(5, 5, 8, 8), ...rectangle(13, 9, 6, 1), ...rectangle(19, 5, 8, 8)]);
  const opened = open(mask);
  expect(connectedParts(mask)).toHaveLength(1);
  expect(connectedParts(opened)).toHaveLength(2);
  expect(open(opened)).toEqual(opened);
});
