import fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Dim } from '../../../models/onnx/shapes.ts';
import {
  broadcastShapes,
  dimProduct,
  dimQuotient,
  dimSum,
  formatShape,
  isUnknown,
  normalAxis,
  symbolFrom,
  unknownDim,
} from '../../../models/onnx/shapes.ts';

const SIZES: Readonly<Record<string, number>> = { B: 2, T: 3, S: 5 };
const dims = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom<Dim>('B', 'T', 'S')), { maxLength: 5 });
const valueOf = (dim: Dim): number =>
  typeof dim === 'number' ? dim : dim.split('*').reduce((product, part) => product * (SIZES[part] ?? Number(part)), 1);

test('products have the size of their factors and one spelling, whatever the order', () => {
  fc.assert(
    fc.property(dims, (factors) => {
      const product = dimProduct(factors);
      expect(valueOf(product)).toBe(factors.reduce<number>((total, dim) => total * valueOf(dim), 1));
      expect(dimProduct([...factors].reverse())).toBe(product);
      expect(dimProduct([dimProduct(factors.slice(0, 2)), ...factors.slice(2)])).toBe(product);
    }),
  );
});

test('a quotient undoes a product, and is undefined where it is not exact for every size', () => {
  fc.assert(
    fc.property(dims, dims, (a, b) => {
      expect(dimQuotient(dimProduct([...a, ...b]), dimProduct(b))).toBe(dimProduct(a));
    }),
  );
  expect(dimQuotient('B', 2)).toBeUndefined();
  expect(dimQuotient(6, 'B')).toBeUndefined();
  expect(dimQuotient(6, 0)).toBeUndefined();
});

test('sums exist where they are products again', () => {
  expect(dimSum('B', '2*B')).toBe('3*B');
  expect(dimSum(4, 5)).toBe(9);
  expect(dimSum(0, 'T')).toBe('T');
  expect(dimSum('B', 'T')).toBeUndefined();
  expect(dimSum('B', 1)).toBeUndefined();
});

test('a dimension known at run time only is equal to itself alone', () => {
  const [a, b] = [unknownDim(), unknownDim()];
  expect(a).not.toBe(b);
  expect(isUnknown(dimProduct([2, a]))).toBe(true);
  expect(dimQuotient(dimProduct([2, a]), a)).toBe(2);
  expect(formatShape([a, 'B', 3])).toBe('[?, B, 3]');
});

test('broadcasting: numbers above one decide, different symbols are open', () => {
  expect(
    broadcastShapes(
      [
        ['B', 1, 4],
        [3, 1],
      ],
      'here',
    ),
  ).toEqual(['B', 3, 4]);
  expect(broadcastShapes([['B'], [7]], 'here')).toEqual([7]);
  expect(broadcastShapes([['B'], ['B']], 'here')).toEqual(['B']);
  expect(isUnknown(broadcastShapes([['B'], ['T']], 'here')[0]!)).toBe(true);
  expect(() => broadcastShapes([[2], [3]], 'node a (Add)')).toThrow(
    'node a (Add): shapes [2] and [3] cannot be broadcast: 2 against 3',
  );
});

test('axes count from either end', () => {
  expect([normalAxis(-1, 3, 'x'), normalAxis(2, 3, 'x'), normalAxis(0, 0, 'x')]).toEqual([2, 2, 0]);
  for (const axis of [3, -4, 0.5]) expect(() => normalAxis(axis, 3, 'x')).toThrow(/outside a tensor of rank 3/);
});

test('names of files become symbols, products of symbols, or nothing', () => {
  expect(['batch', 'past + 1', 'unk__3'].map(symbolFrom)).toEqual(['batch', 'past + 1', 'unk__3']);
  expect(['T*B', '2*B'].map(symbolFrom)).toEqual(['B*T', '2*B']);
  expect(['', '7', '-1', '?', '0*B', '*', 'B*', 'a?b'].map(symbolFrom)).toEqual(Array(8).fill(undefined));
});
