import { expect, test } from 'vitest';

import { vjp } from '../../../../models/autodiff/differentiate.ts';
import { attention } from '../../../../models/nn/attention.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import type { Graph } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { optimise } from '../../../../models/onnx/passes/optimise.ts';
import { expectClose } from '../../../support/close.ts';
import { noise } from '../../../support/evaluate.ts';
import { runGraph } from '../../../support/run-graph.ts';

interface Sizes {
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
}

/** Attention over 12 channels with its gradients. */
function attending({ heads, queries, keys }: Sizes): Graph {
  const b = new GraphBuilder('attention');
  const query = b.input('query', 'float32', ['B', queries, 12]);
  const [key, value] = ['key', 'value'].map((name) => b.input(name, 'float32', ['B', keys, 12]));
  const y = attention(b, { query, key: key!, value: value!, heads });
  b.output('y', y);
  const gradients = vjp(b, [{ value: y, cotangent: b.input('g', 'float32', y.shape) }], [query, key!, value!]);
  gradients.forEach((gradient, at) => b.output(`gradient.${at}`, gradient!));
  return b.build();
}

/** Sizes of the last axis of what is summed up by rows. */
const summed = (graph: Graph): unknown[] =>
  graph.nodes.filter((node) => node.op === 'ReduceSum').map((node) => node.inputs[0]!.shape.at(-1));

test.each([
  { heads: 3, queries: 2, keys: 7, width: 4 },
  { heads: 1, queries: 7, keys: 13, width: 12 },
])('attention sums its rows over the narrower of keys and head: %o', async ({ width, ...sizes }) => {
  const graph = attending(sizes);
  const narrow = optimise(graph);
  expect(summed(graph)).toEqual([sizes.keys]);
  expect(summed(narrow)).toEqual([width]);
  const memory = { key: noise([2, sizes.keys, 12], 2), value: noise([2, sizes.keys, 12], 3) };
  const feeds = { query: noise([2, sizes.queries, 12]), ...memory, g: noise([2, sizes.queries, 12], 4) };
  const [before, after] = [await runGraph(graph, feeds), await runGraph(narrow, feeds)];
  for (const [name, tensor] of Object.entries(before))
    expectClose(after[name], tensor, { rtol: 1e-5, atol: 1e-6 }, name);
});

test('fewer keys than channels of a head: the sum stays', () => {
  expect(summed(optimise(attending({ heads: 3, queries: 5, keys: 4 })))).toEqual([4]);
});

test('a product that others read as well stays', () => {
  const b = new GraphBuilder('g');
  const [p, v] = [b.input('p', 'float32', [5, 6]), b.input('v', 'float32', [6, 2])];
  const product = op.mul(b, p, op.matMul(b, b.input('a', 'float32', [5, 2]), op.transposeMatrix(b, v)));
  b.output('pv', op.matMul(b, p, v));
  b.output('sums', op.reduceSum(b, product, { axes: [-1] }));
  b.output('product', op.neg(b, product));
  expect(summed(optimise(b.build()))).toEqual([6]);
});
