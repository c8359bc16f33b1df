/**
 * @file Reductions.
 */
import fc from 'fast-check';
import { describe, test } from 'vitest';

import type { Tensor } from '../../../../models/onnx/dtype.ts';
import { int } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { awayFromZero, knowns, positive, RUNS, seeds, shapes } from '../arbitraries.ts';
import type { Build } from '../check-gradient.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

describe('reductions', () => {
  test.each([
    'ReduceSum',
    'ReduceMean',
    'ReduceMax',
    'ReduceMin',
    'ReduceProd',
    'ReduceL1',
    'ReduceL2',
    'ReduceSumSquare',
    'ReduceLogSum',
    'ReduceLogSumExp',
  ])('%s over any axes', async (name) => {
    await fc.assert(
      fc.asyncProperty(
        shapes(1, 4),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        fc.boolean(),
        seeds,
        knowns,
        async (shape, picks, keeps, seed, known) => {
          const axes = shape.flatMap((_, axis) => (picks[axis] ? [axis - (seed % 2) * shape.length] : []));
          const build: Build = (b, [x]) =>
            b.node(name, [x, axes.length > 0 ? b.int64(axes) : undefined], { keepdims: int(keeps ? 1 : 0) })[0]!;
          const map = name === 'ReduceLogSum' ? positive : awayFromZero;
          await checkGradient(build, [randomTensor(shape, seed, { map })], { known, seed });
        },
      ),
      { numRuns: RUNS },
    );
  });

  test.each(['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceL2', 'ReduceLogSumExp'])(
    '%s over axes that run time knows',
    async (name) => {
      const axes: Tensor = { dtype: 'int64', shape: [1], data: BigInt64Array.of(1n) };
      const build: Build = (b, [x, at]) => op.reshape(b, b.node(name, [x, at])[0]!, [3, 1, 4]);
      await checkGradient(build, [randomTensor([3, 2, 4], 5, { map: awayFromZero }), axes], { fixed: [1] });
    },
  );

  test('ReduceProd with zeros among the factors', async () => {
    const x: Tensor = { dtype: 'float64', shape: [3, 3], data: Float64Array.of(0, 2, 3, 0, 0, 5, 2, 3, 4) };
    const build: Build = (b, [v]) => b.node('ReduceProd', [v, b.int64([1])])[0]!;
    await checkGradient(build, [x]);
  });
});
