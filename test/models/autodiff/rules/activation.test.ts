/**
 * @file Functions that onnxruntime knows in float32 only, against central differences of their formulas in float64.
 */
import { describe, expect, test } from 'vitest';

import { gradientGraph } from '../../../../models/autodiff/gradient-graph.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import { float32 } from '../../../../models/onnx/dtype.ts';
import type { Attributes } from '../../../../models/onnx/graph.ts';
import { float, text } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { expectClose } from '../../../support/close.ts';
import { runGraph } from '../../../support/run-graph.ts';
import { checkGradient, randoms, randomTensor } from '../check-gradient.ts';

const gate = (x: number): number => Math.min(Math.max(x / 6 + 0.5, 0), 1);
const beyond = (x: number): number => (x < 0 ? x - 1.1 : x + 1.1);

interface Formula {
  readonly op: string;
  readonly f: (x: number) => number;
  readonly attributes?: Attributes;
  /** Points are drawn from -1..1 and mapped. */
  readonly at?: (x: number) => number;
}

const FORMULAS: readonly Formula[] = [
  { op: 'Tan', f: Math.tan },
  { op: 'Asin', f: Math.asin, at: (x) => 0.9 * x },
  { op: 'Acos', f: Math.acos, at: (x) => 0.9 * x },
  { op: 'Atan', f: Math.atan },
  { op: 'Sinh', f: Math.sinh },
  { op: 'Cosh', f: Math.cosh },
  { op: 'Asinh', f: Math.asinh },
  { op: 'Acosh', f: Math.acosh, at: (x) => Math.abs(x) + 1.2 },
  { op: 'Atanh', f: Math.atanh, at: (x) => 0.9 * x },
  { op: 'Softplus', f: (x) => Math.log1p(Math.exp(x)) },
  { op: 'Softsign', f: (x) => x / (1 + Math.abs(x)) },
  { op: 'Mish', f: (x) => x * Math.tanh(Math.log1p(Math.exp(x))), at: (x) => 4 * x },
  { op: 'HardSwish', f: (x) => x * gate(x), at: (x) => 5 * x },
  {
    op: 'HardSigmoid',
    f: (x) => Math.min(Math.max(0.3 * x + 0.5, 0), 1),
    attributes: { alpha: float(0.3) },
    at: (x) => 3 * x,
  },
  { op: 'Elu', f: (x) => (x > 0 ? x : 0.7 * Math.expm1(x)), attributes: { alpha: float(0.7) } },
  { op: 'Celu', f: (x) => (x > 0 ? x : 0.7 * Math.expm1(x / 0.7)), attributes: { alpha: float(0.7) } },
  { op: 'Selu', f: (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)) },
  { op: 'LeakyRelu', f: (x) => (x > 0 ? x : 0.2 * x), attributes: { alpha: float(0.2) } },
  { op: 'ThresholdedRelu', f: (x) => (x > 0.5 ? x : 0), attributes: { alpha: float(0.5) } },
  { op: 'Shrink', f: (x) => (Math.abs(x) > 1 ? x : 0), attributes: { lambd: float(1) }, at: beyond },
  {
    op: 'Gelu',
    f: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    attributes: { approximate: text('tanh') },
    at: (x) => 5 * x,
  },
];

describe('activations', () => {
  test.each(FORMULAS.map((formula) => [formula.op, formula] as const))('%s', async (_, formula) => {
    const { op: name, f, attributes = {}, at = (x) => 2 * x } = formula;
    const points = Float32Array.from(randoms(64, 3), at);
    const weights = Float32Array.from(randoms(64, 4));
    const b = new GraphBuilder(name);
    b.output('y', b.node(name, [b.input('x', 'float32', [64])], attributes)[0]!);
    const graph = gradientGraph(b.build(), { of: ['y'], wrt: ['x'] });
    const results = await runGraph(graph, { x: float32(points), 'cotangent.y': float32(weights) });
    const h = 1e-6;
    const expected = Array.from(points, (x, i) => (weights[i]! * (f(x + h) - f(x - h))) / (2 * h));
    expectClose(results['gradient.x'], float32(expected), { rtol: 4e-6, atol: 1e-6 }, name);
  });

  test('PRelu by input and slope, the slope broadcast', async () => {
    const b = new GraphBuilder('prelu');
    const y = b.node('PRelu', [b.input('x', 'float32', [2, 2]), b.input('slope', 'float32', [2, 1])])[0]!;
    b.output('y', y);
    const graph = gradientGraph(b.build(), { of: ['y'], wrt: ['x', 'slope'] });
    const results = await runGraph(graph, {
      x: float32([1, -2, -3, -4], [2, 2]),
      slope: float32([0.5, 0.25], [2, 1]),
      'cotangent.y': float32([1, 10, 100, 1000], [2, 2]),
    });
    expect(results['gradient.x']).toEqual(float32([1, 5, 25, 250], [2, 2]));
    expect(results['gradient.slope']).toEqual(float32([-20, -4300], [2, 1]));
  });

  test.each([1, 1.702])('x sigmoid(%d x), whichever way it is written, to second order', async (alpha) => {
    const x = randomTensor([3, 4], 5);
    await checkGradient((b, [v]) => op.mul(b, v!, op.sigmoid(b, alpha === 1 ? v! : op.mulScalar(b, v!, alpha))), [x], {
      order: 2,
    });
    await checkGradient((b, [v]) => op.mul(b, op.sigmoid(b, alpha === 1 ? v! : op.mulScalar(b, v!, alpha)), v!), [x]);
    // The sigmoid is read by others too.
    await checkGradient(
      (b, [v]) => {
        const s = op.sigmoid(b, v!);
        return op.add(b, op.mul(b, v!, s), op.mul(b, s, s));
      },
      [x],
    );
  });
});
