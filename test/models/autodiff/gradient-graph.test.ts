/**
 * @file The graph that also computes its gradients.
 */
import { expect, test } from 'vitest';

import { gradientGraph } from '../../../models/autodiff/gradient-graph.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { runGraph } from '../../support/run-graph.ts';

function product(): Graph {
  const b = new GraphBuilder('product');
  const x = b.input('x', 'float32', ['B', 2]);
  const y = b.input('y', 'float32', [2]);
  b.output('z', op.mul(b, x, y));
  b.output('unused', op.exp(b, x));
  return b.build();
}

test('keeps inputs and outputs, adds cotangents and gradients', async () => {
  const graph = gradientGraph(product(), { of: ['z'], wrt: ['x', 'y'] });
  expect(graph.inputs.map((value) => value.name)).toEqual(['x', 'y', 'cotangent.z']);
  expect(graph.outputs.map((value) => value.name)).toEqual(['z', 'unused', 'gradient.x', 'gradient.y']);
  expect(graph.outputs[2]!.shape).toEqual(['B', 2]);
  const results = await runGraph(graph, {
    x: float32([1, 2, 3, 4], [2, 2]),
    y: float32([10, 20]),
    'cotangent.z': float32([1, 1, 1, 2], [2, 2]),
  });
  expect(results['z']).toEqual(float32([10, 40, 30, 80], [2, 2]));
  expect(results['gradient.x']).toEqual(float32([10, 20, 10, 40], [2, 2]));
  expect(results['gradient.y']).toEqual(float32([4, 10]));
});

test('names what does not exist, and what there is', () => {
  expect(() => gradientGraph(product(), { of: ['w'], wrt: ['x'] })).toThrow(
    'graph product: output "w" does not exist; there are z, unused',
  );
  expect(() => gradientGraph(product(), { of: ['z'], wrt: ['w'] })).toThrow(
    'graph product: input "w" does not exist; there are x, y',
  );
});

test('leaves the graph it was given as it is', () => {
  const graph = product();
  const nodes = [...graph.nodes];
  gradientGraph(graph, { of: ['z'], wrt: ['x'] });
  expect(graph.nodes).toEqual(nodes);
});
