/**
 * @file Normalisations.
 */
import fc from 'fast-check';
import { describe, test } from 'vitest';

import { gradientGraph } from '../../../../models/autodiff/gradient-graph.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import type { Tensor } from '../../../../models/onnx/dtype.ts';
import { float32 } from '../../../../models/onnx/dtype.ts';
import { float, int } from '../../../../models/onnx/graph.ts';
import type { Value } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { expectClose } from '../../../support/close.ts';
import { runGraph } from '../../../support/run-graph.ts';
import { knowns, positive, RUNS, seeds, shapes } from '../arbitraries.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

describe('normalisations', () => {
  const normalised = (b: GraphBuilder, x: Value, axes: readonly number[], epsilon: number): Value => {
    const centred = op.sub(b, x, op.reduceMean(b, x, { axes }));
    const variance = op.reduceMean(b, op.mul(b, centred, centred), { axes });
    return op.div(b, centred, op.sqrt(b, op.addScalar(b, variance, epsilon)));
  };

  test('LayerNormalization over the last axes', async () => {
    await fc.assert(
      fc.asyncProperty(shapes(1, 4), fc.nat(3), seeds, knowns, async (shape, pick, seed, known) => {
        const axis = pick % shape.length;
        const tail = shape.slice(axis);
        const axes = shape.flatMap((_, at) => (at >= axis ? [at] : []));
        const inputs = [shape, tail, tail].map((dims, at) => randomTensor(dims, seed + at));
        await checkGradient(
          (b, [x, scale, bias]) => op.layerNormalization(b, x!, scale!, bias, { axis, epsilon: 0.01 }),
          inputs,
          {
            reference: (b, [x, scale, bias]) =>
              op.add(b, op.mul(b, normalised(b, x!, axes, Math.fround(0.01)), scale!), bias!),
            known,
            seed,
          },
        );
      }),
      { numRuns: RUNS },
    );
  });

  test('GroupNormalization and InstanceNormalization', async () => {
    const cases = fc.record({
      n: fc.integer({ min: 1, max: 3 }),
      groups: fc.integer({ min: 1, max: 3 }),
      c: fc.integer({ min: 1, max: 3 }),
      spatial: shapes(1, 2),
    });
    await fc.assert(
      fc.asyncProperty(cases, seeds, async ({ n, groups, c, spatial }, seed) => {
        const shape = [n, groups * c, ...spatial];
        const inputs = [shape, [groups * c], [groups * c]].map((dims, at) => randomTensor(dims, seed + at));
        const wide = (b: GraphBuilder, v: Value): Value =>
          op.unsqueeze(
            b,
            v,
            spatial.map((_, at) => at + 1),
          );
        await checkGradient(
          (b, [x, scale, bias]) => op.groupNormalization(b, x!, scale!, bias!, { numGroups: groups, epsilon: 0.01 }),
          inputs,
          {
            reference: (b, [x, scale, bias]) => {
              const apart = op.reshape(b, x!, [n, groups, -1]);
              const xhat = op.reshape(b, normalised(b, apart, [2], Math.fround(0.01)), shape);
              return op.add(b, op.mul(b, xhat, wide(b, scale!)), wide(b, bias!));
            },
            seed,
          },
        );
      }),
      { numRuns: RUNS },
    );
  });

  test('BatchNormalization with stored statistics, by all five inputs', async () => {
    const inputs = [[2, 3, 4], [3], [3], [3], [3]].map((shape, at) =>
      randomTensor(shape, at, { map: at === 4 ? positive : (x) => x }),
    );
    await checkGradient((b, xs) => b.node('BatchNormalization', xs, { epsilon: float(0.01) })[0]!, inputs, {
      reference: (b, [x, scale, bias, mean, variance]) => {
        const wide = (v: Value): Value => op.unsqueeze(b, v, [1]);
        const deviation = op.sqrt(b, op.addScalar(b, wide(variance!), Math.fround(0.01)));
        return op.add(b, op.mul(b, op.div(b, op.sub(b, x!, wide(mean!)), deviation), wide(scale!)), wide(bias!));
      },
    });
  });

  test('LayerNormalization by its mean and deviation', async () => {
    const epsilon = Math.fround(0.01);
    const x = randomTensor([3, 5], 1, { dtype: 'float32' });
    const gradientOf = async (build: (b: GraphBuilder, v: Value) => readonly Value[]): Promise<Tensor> => {
      const b = new GraphBuilder('statistics');
      build(b, b.input('x', 'float32', [3, 5])).forEach((value, at) => b.output(`y${at}`, value));
      const graph = gradientGraph(b.build(), { of: ['y0', 'y1'], wrt: ['x'] });
      const cotangents = [2, 3].map((seed) => randomTensor([3, 1], seed, { dtype: 'float32' }));
      const feeds = { x, 'cotangent.y0': cotangents[0]!, 'cotangent.y1': cotangents[1]! };
      return (await runGraph(graph, feeds))['gradient.x']!;
    };
    const ofNode = await gradientOf((b, v) => {
      const scale = b.constant(float32([1, 2, 3, 4, 5]));
      return b.node('LayerNormalization', [v, scale], { axis: int(-1), epsilon: float(epsilon) }, 3).slice(1);
    });
    const writtenOut = await gradientOf((b, v) => {
      const mean = op.reduceMean(b, v, { axes: [1] });
      const centred = op.sub(b, v, mean);
      const variance = op.reduceMean(b, op.mul(b, centred, centred), { axes: [1] });
      return [mean, op.reciprocal(b, op.sqrt(b, op.addScalar(b, variance, epsilon)))];
    });
    expectClose(ofNode, writtenOut, { rtol: 1e-5, atol: 1e-6 });
  });
});
