import fc from 'fast-check';
import { expect, test } from 'vitest';

import { editDistance, nearestName, suggestion } from '../../inversion/suggest.ts';

const KNOWN = ['steps', 'guidance', 'lrMin', 'emaStart', 'noiseScale', 'noiseFactor'];

test.each([
  ['gidance', 'guidance'],
  ['Guidance', 'guidance'],
  ['lr-min', 'lrMin'],
  ['setps', 'steps'],
  ['ema_strat', 'emaStart'],
  ['noisescale', 'noiseScale'],
])('%s is meant to be %s', (written, meant) => {
  expect(nearestName(written, KNOWN)).toBe(meant);
});

test.each(['', 'colour', 'x', 'a'.repeat(100_000)])('nothing is near %.10s', (written) => {
  expect(nearestName(written, KNOWN)).toBeUndefined();
  expect(suggestion(written, KNOWN)).toBe('');
});

test('the suggestion ends an error message', () => {
  expect(suggestion('stesp', KNOWN)).toBe(': did you mean "steps"?');
});

test('distances worked out by hand', () => {
  expect(editDistance('kitten', 'sitting')).toBe(3);
  expect(editDistance('abcd', 'abdc')).toBe(1);
  expect(editDistance('', 'abc')).toBe(3);
});

test('edit distance is a symmetric count between the difference of lengths and the longer length', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(distance === 0).toBe(a === b);
    }),
  );
});
