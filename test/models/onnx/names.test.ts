import fc from 'fast-check';
import { expect, test } from 'vitest';

import { Names } from '../../../models/onnx/names.ts';

test('a name is given once; a reserved one to whoever takes exactly it', () => {
  const names = new Names();
  names.reserve(['a']);
  expect([names.unique('a'), names.unique('a'), names.unique('b')]).toEqual(['a_1', 'a_2', 'b']);
  expect([names.isReserved('a'), names.take('a'), names.isReserved('a'), names.take('a')]).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect([names.unique('a'), names.free('a'), names.free('a'), names.free('c')]).toEqual(['a_3', 'a_0', 'a_4', 'c']);
});

const actions = fc.array(fc.tuple(fc.constantFrom('unique', 'keep'), fc.nat(4)), { maxLength: 12 });

test('names that are reserved later are given as if they had been reserved at once', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.constantFrom('a', 'a_1', 'a_2', 'b', 'b_1')), actions, (reserved, done) => {
      const [now, later] = [new Names(), new Names()];
      now.reserve(reserved);
      later.reserveLater((call) => reserved.forEach(call));
      const free = new Set<string>(reserved);
      for (const [action, at] of done) {
        const name = ['a', 'a_1', 'a_2', 'b', 'b_1'][at]!;
        if (action === 'unique') expect(later.unique(name)).toBe(now.unique(name));
        // Only reserved names are kept, each once.
        else if (free.delete(name)) expect(later.keep(name)).toBe(now.take(name));
      }
    }),
  );
});
