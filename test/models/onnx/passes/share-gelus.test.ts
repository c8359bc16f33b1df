import { expect, test } from 'vitest';

import { vjp } from '../../../../models/autodiff/differentiate.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import { float32 } from '../../../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { optimise } from '../../../../models/onnx/passes/optimise.ts';
import { expectClose } from '../../../support/close.ts';
import { runGraph } from '../../../support/run-graph.ts';

const count = (graph: Graph, operator: string): number => graph.nodes.filter((node) => node.op === operator).length;

function differentiated(append: (b: GraphBuilder, x: Value) => Value): Graph {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', ['B', 3]);
  const y = append(b, x);
  b.output('y', y);
  b.output('gradient', vjp(b, [{ value: y, cotangent: b.input('g', 'float32', y.shape) }], [x])[0]!);
  return b.build();
}

/** Phi by its Taylor series around 0 (Abramowitz and Stegun 26.2.10), enough terms for |x| <= 4 in float64. */
function normal(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 80; n += 1) {
    term *= (-x * x) / (2 * n);
    sum += term / (2 * n + 1);
  }
  return 0.5 + sum / Math.sqrt(2 * Math.PI);
}

test('gelu and its derivative share the error function, and are x Phi(x) and Phi(x) + x phi(x)', async () => {
  const graph = differentiated((b, x) => op.gelu(b, x));
  const shared = optimise(graph);
  expect([count(graph, 'Gelu'), count(graph, 'Erf')]).toEqual([1, 1]);
  expect([count(shared, 'Gelu'), count(shared, 'Erf')]).toEqual([0, 1]);
  const points = [-4, -2.5, -1, -1e-20, 0, 1e-20, 0.3, 1, 4];
  const cotangents = [1, -1, 2, 1, 1, 1, 0.5, 3, 1];
  const feeds = { x: float32(points, [3, 3]), g: float32(cotangents, [3, 3]) };
  const found = await runGraph(shared, feeds);
  const slopes = points.map((x) => normal(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI));
  // Phi is (1 + erf) / 2: of the smallest values only the distance from 0 is kept.
  const rounding = { rtol: 1e-6, atol: 3e-7 };
  expectClose(
    found['y'],
    float32(
      points.map((x) => x * normal(x)),
      [3, 3],
    ),
    rounding,
  );
  expectClose(
    found['gradient'],
    float32(
      slopes.map((slope, at) => slope * cotangents[at]!),
      [3, 3],
    ),
    rounding,
  );
});

test('gelu without a derivative, and the one by tanh, stay whole', () => {
  const b = new GraphBuilder('g');
  b.output('y', op.gelu(b, b.input('x', 'float32', ['B', 3])));
  expect(optimise(b.build()).nodes.map((node) => node.op)).toContain('Gelu');
  expect(count(optimise(differentiated((into, x) => op.gelu(into, x, { approximate: 'tanh' }))), 'Gelu')).toBe(1);
});

test('only the gelu whose derivative is there is taken apart', () => {
  const graph = differentiated((b, x) => op.add(b, op.gelu(b, x), op.gelu(b, b.input('other', 'float32', x.shape))));
  expect(count(optimise(graph), 'Gelu')).toBe(1);
});
