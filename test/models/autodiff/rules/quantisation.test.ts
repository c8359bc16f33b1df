/**
 * @file Gradients through quantised numbers: refused by name, or straight through. PyTorch's numbers of pairs are in
 * operators.test.ts.
 */
import { describe, expect, test } from 'vitest';

import { gradientGraph } from '../../../../models/autodiff/gradient-graph.ts';
import { missingRules } from '../../../../models/autodiff/missing-rules.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import { float32 } from '../../../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { runGraph } from '../../../support/run-graph.ts';

const BOTH = { of: ['y'], wrt: ['x'] };

interface Quantised {
  readonly b: GraphBuilder;
  readonly x: Value;
  readonly stored: Value;
  readonly zero: Value;
  readonly dequantised: (value: Value) => Value;
}

/** y = what `make` makes of a picture that node "q" has stored as int8 in steps of 1/8. */
function graphOf(make: (quantised: Quantised) => Value): Graph {
  const b = new GraphBuilder('quantised');
  const x = b.input('x', 'float32', [2, 3]);
  const scale = b.scalar(0.125);
  const zero = b.constant({ dtype: 'int8', shape: [], data: Int8Array.of(4) });
  const [stored] = b.namedNode({
    name: 'q',
    op: 'QuantizeLinear',
    inputs: [x, scale, zero],
    outputs: [undefined],
    attributes: {},
  });
  const dequantised = (value: Value): Value => b.node('DequantizeLinear', [value, scale, zero])[0]!;
  b.output('y', make({ b, x, zero, stored: stored!, dequantised }));
  return b.build();
}

const pair = graphOf(({ b, stored, dequantised }) => op.exp(b, dequantised(stored)));

test('without the option the node is named, and the option', () => {
  const message = /^node q: QuantizeLinear has no gradient rule for input 0 \("x"\): .*--straight-through/;
  expect(() => gradientGraph(pair, BOTH)).toThrow(message);
  expect(missingRules(pair)).toEqual([expect.objectContaining({ node: 'q' })]);
  expect(missingRules(pair, { straightThrough: true })).toEqual([]);
});

test('straight through, also where the quantised numbers are moved in between', async () => {
  const moved = graphOf(({ b, stored, dequantised }) => {
    const turned = op.transpose(b, op.reshape(b, stored, [3, 2]));
    return op.exp(b, dequantised(op.concat(b, [turned, turned], 0)));
  });
  const spelledOut = graphOf(({ b, stored, zero }) => {
    const steps = op.sub(b, op.cast(b, stored, 'float32'), op.cast(b, zero, 'float32'));
    return op.exp(b, op.mulScalar(b, steps, 0.125));
  });
  const x = float32([0, 0.3, -1, 2, 15.3, -17], [2, 3]);
  // 15.3 fits: (127 - 4) / 8 = 15.375; -17 does not: (-128 - 4) / 8 = -16.5.
  const stored = [0, 0.25, -1, 2, 15.25, -Infinity];
  for (const [graph, rows] of [
    [pair, 1],
    [moved, 2],
    [spelledOut, 1],
  ] as const) {
    const gradients = gradientGraph(graph, { ...BOTH, straightThrough: true });
    const shape = graph.outputs[0]!.shape as number[];
    const cotangent = float32(new Array(6 * rows).fill(1), shape);
    const { 'gradient.x': found } = await runGraph(gradients, { x, 'cotangent.y': cotangent }, ['gradient.x']);
    found!.data.forEach((value: number | bigint, at: number) => {
      const expected = rows * Math.exp(stored[at]!);
      expect(Math.abs(Number(value) - expected)).toBeLessThanOrEqual(1e-6 * expected);
    });
  }
});

test('by the scale of stored weights no rounding stands in the way', async () => {
  const b = new GraphBuilder('weights');
  const scale = b.input('scale', 'float32', []);
  const weights = b.constant({ dtype: 'int8', shape: [3], data: Int8Array.of(-1, 2, 5) });
  b.output('y', b.node('DequantizeLinear', [weights, scale])[0]!);
  const graph = gradientGraph(b.build(), { of: ['y'], wrt: ['scale'] });
  const feeds = { scale: float32([0.5], []), 'cotangent.y': float32([1, 10, 100]) };
  expect((await runGraph(graph, feeds))['gradient.scale']).toEqual(float32([519], []));
});

describe('what computes with rounded numbers is refused by name, with the option and without', () => {
  test.each<[string, (quantised: Quantised) => Value, string]>([
    [
      'MatMulInteger',
      ({ b, stored, zero }) =>
        op.cast(b, b.node('MatMulInteger', [stored, op.transpose(b, stored), zero, zero])[0]!, 'float32'),
      'MatMulInteger has no gradient rule for input 0',
    ],
    [
      'DynamicQuantizeLinear',
      ({ b, x, dequantised }) => dequantised(op.cast(b, b.node('DynamicQuantizeLinear', [x], {}, 3)[0]!, 'int8')),
      'DynamicQuantizeLinear has no gradient rule for input 0 ("x"): it computes with rounded numbers',
    ],
    [
      'DynamicQuantizeLinear and its own scale',
      ({ b, x }) => b.node('DequantizeLinear', b.node('DynamicQuantizeLinear', [x], {}, 3))[0]!,
      'DynamicQuantizeLinear has no gradient rule for input 0 ("x"): it computes with rounded numbers',
    ],
    [
      'a maximum of quantised numbers',
      ({ b, stored, dequantised }) => dequantised(b.node('Max', [stored, stored])[0]!),
      'Max has no gradient rule for input 0 ("q:0"): it reads quantised numbers',
    ],
  ])('%s', (_, make, message) => {
    const graph = graphOf(make);
    for (const straightThrough of [true, false]) {
      expect(() => gradientGraph(graph, { ...BOTH, straightThrough })).toThrow(message);
      expect(missingRules(graph, { straightThrough }).length).toBeGreaterThan(0);
    }
  });

  test('sizes of quantised numbers carry no gradient', () => {
    const graph = graphOf(({ b, x, stored }) => {
      const size = op.cast(b, b.node('Size', [stored])[0]!, 'float32');
      return op.mul(b, x, size);
    });
    expect(missingRules(graph)).toEqual([]);
  });
});

describe('what is wrong with a pair names the node', () => {
  test.each<[string, (b: GraphBuilder, x: Value) => Value[], string]>([
    [
      'a scale of another length',
      (b, x) => b.node('QuantizeLinear', [x, b.constant(float32([1, 2]))]),
      'length of input 1 and of axis 1: 2 against 3',
    ],
    [
      'a scale per block',
      (b, x) => b.node('QuantizeLinear', [x, b.scalar(1)], { block_size: { type: 'int', value: 2 } }),
      'scales per block are not supported',
    ],
    [
      'real numbers that were stored already',
      (b, x) => b.node('DequantizeLinear', [x, b.scalar(1)]),
      'input 0 is float32, expected whole numbers',
    ],
  ])('%s', (_, make, message) => {
    const b = new GraphBuilder('wrong');
    expect(() => make(b, b.input('x', 'float32', [2, 3]))).toThrow(message);
  });
});
