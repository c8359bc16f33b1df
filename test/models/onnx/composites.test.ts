/**
 * @file Operators that are taken apart while they are read, against onnxruntime's own kernels of the whole operators:
 * outputs, and gradients by differences of the file as it is.
 */
import { describe, expect, test } from 'vitest';

import { byDifferences } from '../../../activities/gradients/differences.ts';
import { dot } from '../../../activities/gradients/reals.ts';
import { grad } from '../../../models/autodiff/grad.ts';
import { checkGraph } from '../../../models/onnx/check.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { int64 } from '../../../models/onnx/dtype.ts';
import { readModel } from '../../../models/onnx/protobuf.ts';
import { expectClose } from '../../support/close.ts';
import { intAttribute } from '../../support/foreign-model.ts';
import { fromOrt, openModel, runGraph, runModel, toOrt } from '../../support/run-graph.ts';
import type { CompositeCase } from './composite-cases.ts';
import { COMPOSITE_CASES, bools, compositeModel, four, random, scores, text, three } from './composite-cases.ts';

const feedsOf = ({ inputs, fixed = [] }: CompositeCase): Record<string, Tensor> =>
  Object.fromEntries(inputs.flatMap((tensor, at) => (tensor && !fixed.includes(at) ? [[`x${at}`, tensor]] : [])));

const SMOOTH = COMPOSITE_CASES.filter(({ inputs }) => inputs[0]?.dtype === 'float32');

describe('composite operators', () => {
  test.each(COMPOSITE_CASES.map((one) => [one.op, one.name, one] as const))('%s, %s: outputs', async (_, __, one) => {
    const bytes = compositeModel(one);
    const theirs = await runModel(bytes, feedsOf(one));
    const graph = readModel(bytes);
    expect(graph.nodes.map(({ op }) => op)).not.toContain(one.op);
    const ours = await runGraph(checkGraph(graph), feedsOf(one));
    for (const [name, expected] of Object.entries(theirs)) {
      expect(ours[name]!.shape).toEqual(expected.shape);
      expectClose(ours[name], expected, { rtol: 1e-5, atol: 1e-6 });
    }
  });

  test.each(SMOOTH.map((one) => [one.op, one.name, one] as const))('%s, %s: gradients', async (_, __, one) => {
    const bytes = compositeModel(one);
    const feeds = feedsOf(one);
    const y = (await runModel(bytes, feeds, ['y']))['y']!;
    const cotangent = random(y.shape, 11);
    const wrt = Object.keys(feeds).filter((name) => feeds[name]!.dtype === 'float32');
    const results = await runModel(grad(bytes, { of: ['y'], wrt }), { ...feeds, 'cotangent.y': cotangent });
    const session = await openModel(bytes);
    try {
      for (const name of wrt) {
        const x = feeds[name]!;
        const value = async (moved: Tensor): Promise<number> => {
          const all = { ...feeds, [name]: moved };
          const given = Object.fromEntries(Object.entries(all).map(([key, tensor]) => [key, toOrt(tensor)]));
          return dot(fromOrt((await session.run(given, ['y']))['y']!), cotangent).value;
        };
        const gradient = results[`gradient.${name}`]!;
        const found = await byDifferences({ x, v: random(x.shape, 12), gradient, scale: 1, value });
        expect(found.error, name).toBeLessThan(0.01);
        expect(found.gradient, name).not.toBe(0);
      }
    } finally {
      await session.release();
    }
  });

  test('a query whose keys are all masked is zero, and so is its gradient', async () => {
    const none = bools([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1], [3, 6]);
    const bytes = compositeModel({ name: '', op: 'Attention', inputs: [...four, none] });
    const feeds = { x0: four[0]!, x1: four[1]!, x2: four[2]!, x3: none };
    const cotangent = random([2, 4, 3, 7], 3);
    const results = await runModel(grad(bytes, { of: ['y'], wrt: ['x0'] }), { ...feeds, 'cotangent.y': cotangent });
    const firstQuery = Array.from(results['gradient.x0']!.data as Float32Array).slice(0, 5);
    expect(firstQuery).toEqual([0, 0, 0, 0, 0]);
    expect(Array.from(results['y']!.data as Float32Array).slice(0, 7)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(Array.from(results['gradient.x0']!.data as Float32Array).every(Number.isFinite)).toBe(true);
  });

  test.each([
    [
      { op: 'Attention', inputs: [random([2, 3], 1), four[1], four[2]] },
      /input 0 has shape \[2, 3\], expected 3 or 4 axes/,
    ],
    [{ op: 'Attention', inputs: three }, /q_num_heads 0 does not divide 20/],
    [{ op: 'Attention', inputs: four, attributes: [intAttribute('qk_matmul_output_mode', 9)], outputs: 4 }, /mode 9/],
    [{ op: 'NegativeLogLikelihoodLoss', inputs: [scores[0], int64([1])] }, /scores have 3 axes, targets 1/],
    [{ op: 'NegativeLogLikelihoodLoss', inputs: scores, attributes: [text('reduction', 'most')] }, /reduction "most"/],
    [{ op: 'Swish', inputs: [undefined] }, /input 0 is missing/],
    [{ op: 'Col2Im', inputs: [random([1, 8, 15], 1), int64([6, 5]), int64([2, 2])] }, /input 1 must be known/],
    [
      { op: 'STFT', inputs: [random([1, 20, 1], 1), int64([3], [])] },
      /step and the length of its pieces must be known/,
    ],
  ] as readonly (readonly [Omit<CompositeCase, 'name'>, RegExp])[])(
    'what is wrong is one line (%#)',
    (one, message) => {
      expect(() => readModel(compositeModel({ name: '', ...one }))).toThrow(message);
    },
  );
});
