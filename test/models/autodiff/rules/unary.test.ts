/**
 * @file Functions of one number, softmax.
 */
import fc from 'fast-check';
import { describe, test } from 'vitest';

import { int } from '../../../../models/onnx/graph.ts';
import { awayFromZero, knowns, positive, RUNS, seeds, shapes } from '../arbitraries.ts';
import type { Build } from '../check-gradient.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

const node =
  (name: string): Build =>
  (b, inputs) =>
    b.node(name, inputs)[0]!;

describe('functions of one number, in float64', () => {
  test.each(['Abs', 'Neg', 'Sqrt', 'Exp', 'Log', 'Tanh', 'Sigmoid', 'Relu', 'Sin', 'Cos', 'Reciprocal'])(
    '%s',
    async (name) => {
      const map = name === 'Sqrt' || name === 'Log' ? positive : awayFromZero;
      await checkGradient(node(name), [randomTensor([3, 4], 5, { map })]);
    },
  );

  test.each(['Softmax', 'LogSoftmax', 'LpNormalization'])('%s along any axis', async (name) => {
    await fc.assert(
      fc.asyncProperty(shapes(1, 4), fc.nat(3), seeds, knowns, async (shape, pick, seed, known) => {
        const axis = (pick % shape.length) - (seed % 2) * shape.length;
        const build: Build = (b, [x]) => b.node(name, [x], { axis: int(axis) })[0]!;
        await checkGradient(build, [randomTensor(shape, seed, { map: (x) => 3 * x })], { known, seed });
      }),
      { numRuns: RUNS },
    );
  });
});
