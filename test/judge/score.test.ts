import fc from 'fast-check';
import { expect, test } from 'vitest';

import { scoreTable, shareOf, wilson95 } from '../../judge/score.ts';

test('the interval is that of other statistics programs', () => {
  // prop.test(8, 10, correct = FALSE) of R
  expect(wilson95(8, 10).low).toBeCloseTo(0.4901625, 6);
  expect(wilson95(8, 10).high).toBeCloseTo(0.9433178, 6);
});

test('the ends are the shares that the observed one is 1.96 standard errors from', () => {
  const counts = fc
    .integer({ min: 1, max: 5000 })
    .chain((n) => fc.tuple(fc.integer({ min: 0, max: n }), fc.constant(n)));
  fc.assert(
    fc.property(counts, ([successes, trials]) => {
      const { low, high } = wilson95(successes, trials);
      for (const end of [low, high]) {
        const distance = (successes / trials - end) ** 2;
        expect(distance).toBeCloseTo((1.959963984540054 ** 2 * end * (1 - end)) / trials, 9);
      }
      expect(low).toBeLessThanOrEqual(successes / trials);
      expect(high).toBeGreaterThanOrEqual(successes / trials);
      expect(low >= 0 && high <= 1).toBe(true);
    }),
  );
});

test('nothing tried, nothing known', () => {
  expect(wilson95(0, 0)).toEqual({ low: 0, high: 1 });
});

test('verdicts add up over all and by category, in the order of appearance', () => {
  const item = (category: string, strict: boolean, contains: boolean, recall: number) => ({
    category,
    verdict: { strict, contains, recall },
  });
  const table = scoreTable([
    item('spatial', true, true, 1),
    item('count', false, true, 1),
    item('spatial', false, false, 0.5),
    item('count', false, false, 0),
  ]);
  expect(table.map(({ category }) => category)).toEqual(['all', 'spatial', 'count']);
  expect(table[0]).toEqual({ category: 'all', strict: shareOf(1, 4), contains: shareOf(2, 4), recall: 0.625 });
  expect(table[1]).toEqual({ category: 'spatial', strict: shareOf(1, 2), contains: shareOf(1, 2), recall: 0.75 });
  expect(table[2]).toEqual({ category: 'count', strict: shareOf(0, 2), contains: shareOf(1, 2), recall: 0.5 });
});
