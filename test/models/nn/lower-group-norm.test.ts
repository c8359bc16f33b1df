import { expect, test } from 'vitest';

import { vjp } from '../../../models/autodiff/differentiate.ts';
import { lowerGroupNorms } from '../../../models/nn/lower-group-norm.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { optimise } from '../../../models/onnx/passes/optimise.ts';
import type { Shape } from '../../../models/onnx/shapes.ts';
import { expectClose } from '../../support/close.ts';
import { noise } from '../../support/evaluate.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';

const [scale, bias] = [noise([6], 2), noise([6], 3)];

/** With its gradient, as a search has it. */
function graphOf(epsilon: number): Graph {
  const b = new GraphBuilder('norm');
  const x = b.input('x', 'float32', ['B', 6, 4, 5]);
  const y = op.groupNormalization(b, x, b.constant(scale), b.constant(bias), { numGroups: 2, epsilon });
  const g = b.input('g', 'float32', y.shape);
  const [gradient] = vjp(b, [{ value: y, cotangent: g }], [x]);
  b.output('y', y);
  b.output('gradient', gradient!);
  return b.build();
}

const count = (graph: Graph, operator: string): number => graph.nodes.filter((node) => node.op === operator).length;

/** In float64, over groups of 3 channels of 20 pixels. */
function reference(x: Tensor, epsilon: number): Tensor {
  const values = toNumbers(x);
  const y = values.map((value, at) => {
    const start = Math.floor(at / 60) * 60;
    const group = values.slice(start, start + 60);
    const mean = group.reduce((sum, v) => sum + v, 0) / 60;
    const variance = group.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 60;
    const channel = Math.floor(at / 20) % 6;
    return (
      ((value - mean) / Math.sqrt(variance + epsilon)) * Number(scale.data[channel]!) + Number(bias.data[channel]!)
    );
  });
  return float32(y, x.shape);
}

test.each([1e-6, 0.5])('gives the same numbers, epsilon %d', async (epsilon) => {
  const [x, g] = [noise([2, 6, 4, 5]), noise([2, 6, 4, 5], 4)];
  const graph = graphOf(epsilon);
  const lowered = optimise(lowerGroupNorms(graph));
  expect(count(graph, 'GroupNormalization')).toBe(1);
  expect(count(lowered, 'GroupNormalization')).toBe(0);
  const [before, after] = [await runGraph(graph, { x, g }), await runGraph(lowered, { x, g })];
  expectClose(after['y'], reference(x, epsilon), { rtol: 1e-6, atol: 1e-6 });
  expectClose(after['gradient'], before['gradient']!, { rtol: 1e-5, atol: 1e-6 });
});

test('keeps its digits where the mean is large', async () => {
  const x = float32(
    toNumbers(noise([2, 6, 4, 5])).map((v) => v + 500),
    [2, 6, 4, 5],
  );
  const { y } = await runGraph(lowerGroupNorms(graphOf(1e-6)), { x, g: x });
  // Inputs are rounded to 3e-5, the mean too: what comes out cannot be better than that over the deviation of 0.6.
  expectClose(y, reference(x, 1e-6), { rtol: 0, atol: 1e-4 });
});

test('shares with the gradient what both compute', () => {
  const lowered = optimise(lowerGroupNorms(graphOf(1e-6)));
  expect(count(lowered, 'Reciprocal')).toBe(1);
  expect(count(lowered, 'Sqrt')).toBe(1);
});

test('by kernels where images are whole vectors long and their sizes known, else by sums', () => {
  const formOf = (shape: Shape, numGroups = 6): string[] => {
    const b = new GraphBuilder('norm');
    const x = b.input('x', 'float32', shape);
    b.output('y', op.groupNormalization(b, x, b.constant(scale), b.constant(bias), { numGroups }));
    return lowerGroupNorms(b.build(), 'kernels').nodes.map((node) => node.op);
  };
  expect(formOf(['B', 6, 4, 8])).toContain('InstanceNormalization');
  expect(formOf(['B', 6, 16])).toContain('InstanceNormalization');
  const bySums = [
    formOf(['B', 6, 4, 5]),
    formOf(['B', 6, 'H', 8]),
    formOf(['B', 6, 1]),
    formOf(['B', 6, 4, 8], 1),
    lowerGroupNorms(graphOf(1e-6)).nodes.map((node) => node.op),
  ];
  for (const operators of bySums) {
    expect(operators).not.toContain('InstanceNormalization');
    expect(operators).toContain('ReduceMean');
  }
});

test('leaves a graph without group norms as it is', () => {
  const b = new GraphBuilder('plain');
  b.output('y', op.neg(b, b.input('x', 'float32', ['B'])));
  const graph = b.build();
  expect(lowerGroupNorms(graph)).toEqual(graph);
});
