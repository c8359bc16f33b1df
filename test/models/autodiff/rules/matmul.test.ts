/**
 * @file Matrix products and Einsum.
 */
import fc from 'fast-check';
import { describe, test } from 'vitest';

import * as op from '../../../../models/onnx/ops.ts';
import { broadcasts, knowns, RUNS, seeds } from '../arbitraries.ts';
import type { Build } from '../check-gradient.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

const node =
  (name: string): Build =>
  (b, inputs) =>
    b.node(name, inputs)[0]!;

describe('products', () => {
  const matrices = fc
    .record({
      batch: broadcasts(2),
      m: fc.integer({ min: 0, max: 3 }),
      k: fc.integer({ min: 1, max: 3 }),
      n: fc.integer({ min: 0, max: 3 }),
    })
    // No rows or columns: a vector, which has no batch either.
    .map(({ batch: [left, right], m, k, n }) => [m === 0 ? [k] : [...left!, m, k], n === 0 ? [k] : [...right!, k, n]]);

  test('MatMul of matrices, batches and vectors', async () => {
    await fc.assert(
      fc.asyncProperty(matrices, seeds, knowns, async ([left, right], seed, known) => {
        await checkGradient(node('MatMul'), [randomTensor(left!, seed), randomTensor(right!, seed + 1)], {
          known,
          seed,
        });
      }),
      { numRuns: 2 * RUNS },
    );
  });

  test('MatMul by a transposed weight', async () => {
    const linear: Build = (b, [x, w]) => op.matMul(b, x!, op.transposeMatrix(b, w!));
    for (const known of ['static', 'open'] as const) {
      await checkGradient(linear, [randomTensor([2, 3, 4], 1), randomTensor([5, 4], 2)], { known });
    }
  });

  test('Gemm with every flag', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          m: fc.integer({ min: 1, max: 4 }),
          k: fc.integer({ min: 1, max: 4 }),
          n: fc.integer({ min: 1, max: 4 }),
          transA: fc.boolean(),
          transB: fc.boolean(),
          c: fc.nat(3),
        }),
        seeds,
        knowns,
        async ({ m, k, n, transA, transB, c }, seed, known) => {
          const third = [[], [n], [m, 1], [m, n]][c]!;
          const inputs = [transA ? [k, m] : [m, k], transB ? [n, k] : [k, n], third].map((shape, at) =>
            randomTensor(shape, seed + at),
          );
          const build: Build = (b, [x, y, z]) => op.gemm(b, x!, y!, z, { alpha: 0.7, beta: 1.3, transA, transB });
          await checkGradient(build, inputs, { known, seed });
        },
      ),
      { numRuns: RUNS },
    );
  });

  test('Einsum with random labels: contractions, sums, diagonals, outer products', async () => {
    const term = fc.array(fc.constantFrom('i', 'j', 'k', 'l'), { minLength: 1, maxLength: 3 });
    const sizes: Readonly<Record<string, number>> = { i: 2, j: 3, k: 4, l: 2 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(term, { minLength: 1, maxLength: 3 }),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        seeds,
        async (terms, kept, seed) => {
          const labels = [...new Set(terms.flat())].filter((_, at) => kept[at]);
          const equation = `${terms.map((labelsOf) => labelsOf.join('')).join(',')}->${labels.join('')}`;
          const inputs = terms.map((labelsOf, at) =>
            randomTensor(
              labelsOf.map((label) => sizes[label]!),
              seed + at,
            ),
          );
          await checkGradient((b, xs) => op.einsum(b, equation, xs), inputs, { seed });
        },
      ),
      { numRuns: 2 * RUNS },
    );
  });

  test.each(['...ij,...jk->...ik', 'b...i,i->b...', '...ii->...i', 'bhqd,bhkd->bhqk'])(
    'Einsum %s',
    async (equation) => {
      const dims: Readonly<Record<string, number[][]>> = {
        '...ij,...jk->...ik': [
          [2, 1, 3, 4],
          [1, 3, 4, 2],
        ],
        'b...i,i->b...': [[2, 3, 2, 4], [4]],
        '...ii->...i': [[2, 3, 3]],
        'bhqd,bhkd->bhqk': [
          [2, 2, 3, 4],
          [2, 2, 5, 4],
        ],
      };
      for (const known of ['static', 'open'] as const) {
        await checkGradient(
          (b, xs) => op.einsum(b, equation, xs),
          dims[equation]!.map((shape, at) => randomTensor(shape, at)),
          { known },
        );
      }
    },
  );
});
