/**
 * @file Arithmetic, selection and bounds, broadcast.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { gradientGraph } from '../../../../models/autodiff/gradient-graph.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import type { Tensor } from '../../../../models/onnx/dtype.ts';
import { float32 } from '../../../../models/onnx/dtype.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { expectClose } from '../../../support/close.ts';
import { runGraph } from '../../../support/run-graph.ts';
import { awayFromZero, broadcasts, knowns, positive, RUNS, seeds } from '../arbitraries.ts';
import type { Build } from '../check-gradient.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

const node =
  (name: string): Build =>
  (b, inputs) =>
    b.node(name, inputs)[0]!;

describe('arithmetic with broadcasting', () => {
  test.each([
    ['Add', node('Add'), awayFromZero],
    ['Sub', node('Sub'), awayFromZero],
    ['Mul', node('Mul'), awayFromZero],
    ['Div', node('Div'), awayFromZero],
    ['Pow', node('Pow'), positive],
    ['Min', node('Min'), awayFromZero],
    ['Max', node('Max'), awayFromZero],
    ['Sum', node('Sum'), awayFromZero],
    ['Where', (b, [x, y]) => op.where(b, op.greater(b, x!, b.scalar(0, 'float64')), x!, y!), awayFromZero],
  ] as readonly (readonly [string, Build, (x: number) => number])[])('%s', async (_, build, map) => {
    await fc.assert(
      fc.asyncProperty(broadcasts(2), seeds, knowns, async ([left, right], seed, known) => {
        const inputs = [randomTensor(left!, seed, { map }), randomTensor(right!, seed + 1, { map })];
        await checkGradient(build, inputs, { known, seed });
      }),
      { numRuns: RUNS },
    );
  });

  test('Clip by bounds of which the lower one is above', async () => {
    const bounds = [0.7, 0.2].map((bound): Tensor => ({ dtype: 'float64', shape: [], data: Float64Array.of(bound) }));
    await checkGradient(node('Clip'), [randomTensor([24], 3), ...bounds]);
  });

  test('Max of three, and Clip by tensors', async () => {
    const clip: Build = (b, [x, y, z]) =>
      b.node('Clip', [x, op.reduceMin(b, y!, { keepdims: false }), op.reduceMax(b, z!, { keepdims: false })])[0]!;
    await fc.assert(
      fc.asyncProperty(broadcasts(3), seeds, knowns, async (dims, seed, known) => {
        const inputs = dims.map((shape, at) => randomTensor(shape, seed + at));
        await checkGradient(node('Max'), inputs, { known, seed });
        const bounds = [
          inputs[0]!,
          ...inputs
            .slice(1)
            .map((x, at) => randomTensor(x.shape, seed + at, { map: (v) => v / 4 + (at ? 0.3 : -0.3) })),
        ];
        await checkGradient(clip, bounds, { known, seed });
      }),
      { numRuns: RUNS },
    );
  });
});

test('an exponent of another type than the base has a gradient of its own type', async () => {
  const b = new GraphBuilder('power');
  const [x, e] = [b.input('x', 'float32', [2]), b.input('e', 'float64', [2])];
  b.output('y', b.node('Pow', [x, e])[0]!);
  const graph = gradientGraph(b.build(), { of: ['y'], wrt: ['x', 'e'] });
  const feeds = { x: float32([2, 3]), e: { dtype: 'float64', shape: [2], data: Float64Array.of(2, 1) } as const };
  const results = await runGraph(graph, { ...feeds, 'cotangent.y': float32([1, 2]) });
  expect(results['gradient.x']).toEqual(float32([4, 2]));
  expect(results['gradient.e']?.dtype).toBe('float64');
  expectClose(
    results['gradient.e'],
    { dtype: 'float64', shape: [2], data: Float64Array.of(4 * Math.log(2), 6 * Math.log(3)) },
    { rtol: 1e-6, atol: 0 },
  );
});

test('of equal values the first is taken, and the cotangent is given once', async () => {
  const b = new GraphBuilder('ties');
  const inputs = ['x', 'y', 'z'].map((name) => b.input(name, 'float32', [3]));
  b.output('max', b.node('Max', inputs)[0]!);
  const graph = gradientGraph(b.build(), { of: ['max'], wrt: ['x', 'y', 'z'] });
  const results = await runGraph(graph, {
    x: float32([1, 2, 0]),
    y: float32([1, 3, 1]),
    z: float32([1, 3, 2]),
    'cotangent.max': float32([5, 6, 7]),
  });
  expect(results['gradient.x']).toEqual(float32([5, 0, 0]));
  expect(results['gradient.y']).toEqual(float32([0, 6, 0]));
  expect(results['gradient.z']).toEqual(float32([0, 0, 7]));
});
