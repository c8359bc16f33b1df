import { expect, test } from 'vitest';

import { vjp } from '../../../../models/autodiff/differentiate.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import type { Graph, Value } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { optimise } from '../../../../models/onnx/passes/optimise.ts';
import { shareStatistics } from '../../../../models/onnx/passes/share-statistics.ts';
import { expectClose } from '../../../support/close.ts';
import { noise } from '../../../support/evaluate.ts';
import { runGraph } from '../../../support/run-graph.ts';

const [scale, bias] = [noise([6], 2), noise([6], 3)];
const outputs = (graph: Graph): number[] =>
  graph.nodes.filter((node) => node.op === 'LayerNormalization').map((node) => node.outputs.length);

/** A layer normalisation with its gradient; `axis` and bias as different writers have them. */
function layer({ axis, hasBias }: { axis: number; hasBias: boolean }): Graph {
  const b = new GraphBuilder('norm');
  const x = b.input('x', 'float32', ['B', 5, 6]);
  const y = op.layerNormalization(b, x, b.constant(scale), hasBias ? b.constant(bias) : undefined, { axis });
  b.output('y', y);
  b.output('gradient', vjp(b, [{ value: y, cotangent: b.input('g', 'float32', y.shape) }], [x])[0]!);
  return b.build();
}

test.each([
  { axis: -1, hasBias: true },
  { axis: 2, hasBias: false },
])('the adjoint takes mean and deviation from the forward node: %o', async (how) => {
  const graph = layer(how);
  const shared = optimise(graph);
  expect(outputs(graph)).toEqual([1, 3]);
  expect(outputs(shared)).toEqual([3]);
  const feeds = { x: noise([2, 5, 6]), g: noise([2, 5, 6], 4) };
  const [before, after] = [await runGraph(graph, feeds), await runGraph(shared, feeds)];
  expect(after['y']).toEqual(before['y']);
  expectClose(after['gradient'], before['gradient']!, { rtol: 1e-6, atol: 1e-6 });
});

test('another epsilon, another value, or a result that is read: nothing is shared', () => {
  const build = (append: (b: GraphBuilder, x: Value) => readonly Value[]): Graph => {
    const b = new GraphBuilder('norms');
    append(b, b.input('x', 'float32', ['B', 6])).forEach((value, at) => b.output(`y${at}`, value));
    return b.build();
  };
  const normal = (b: GraphBuilder, x: Value, epsilon: number): Value =>
    op.layerNormalization(b, x, b.constant(scale), undefined, { epsilon });
  const statistics = (b: GraphBuilder, x: Value): Value[] =>
    b.node('LayerNormalization', [x, b.constant(bias)], {}, 3).slice(1);
  expect(outputs(shareStatistics(build((b, x) => [normal(b, x, 1e-5), ...statistics(b, x)])))).toEqual([3]);
  expect(outputs(shareStatistics(build((b, x) => [normal(b, x, 1e-6), ...statistics(b, x)])))).toEqual([1, 3]);
  expect(outputs(shareStatistics(build((b, x) => [normal(b, x, 1e-5), ...statistics(b, op.neg(b, x))])))).toEqual([
    1, 3,
  ]);
  expect(
    outputs(
      shareStatistics(build((b, x) => [normal(b, x, 1e-5), op.layerNormalization(b, x, b.constant(bias), undefined)])),
    ),
  ).toEqual([1, 1]);
});
