import { expect, test } from 'vitest';

import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import { float32 } from '../../../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { shareCommonSubexpressions } from '../../../../models/onnx/passes/common-subexpressions.ts';

function share(append: (b: GraphBuilder, x: Value, y: Value) => readonly Value[]): Graph {
  const b = new GraphBuilder('g');
  append(b, b.input('x', 'float32', ['B', 3]), b.input('y', 'float32', ['B', 3])).forEach((value, at) =>
    b.output(`out${at}`, value),
  );
  return shareCommonSubexpressions(b.build());
}

const count = (graph: Graph, operator: string): number => graph.nodes.filter((node) => node.op === operator).length;

test('equal chains of nodes become one chain', () => {
  const graph = share((b, x, y) => [1, 2].map(() => op.tanh(b, op.sub(b, op.exp(b, x), y))));
  expect([count(graph, 'Exp'), count(graph, 'Sub'), count(graph, 'Tanh')]).toEqual([1, 1, 1]);
  expect(graph.outputs.map(({ name }) => name)).toEqual(['out0', 'out1']);
});

test('sums and products are equal in either order, differences are not', () => {
  const graph = share((b, x, y) => [op.add(b, x, y), op.add(b, y, x), op.sub(b, x, y), op.sub(b, y, x)]);
  expect([count(graph, 'Add'), count(graph, 'Sub')]).toEqual([1, 2]);
});

test('attributes, inputs that are left out and the number of outputs tell nodes apart', () => {
  const graph = share((b, x) => [
    op.softmax(b, x, 0),
    op.softmax(b, x, 1),
    op.softmax(b, x, 1),
    op.clip(b, x, { min: 1 }),
    op.clip(b, x, { max: 1 }),
  ]);
  expect([count(graph, 'Softmax'), count(graph, 'Clip')]).toEqual([2, 2]);
});

test('constants of equal bytes and weights of one range are one; 0 and -0 are two', () => {
  const large = (): ReturnType<typeof float32> =>
    float32(
      Array.from({ length: 300 }, (_, at) => at),
      [100, 3],
    );
  const range = { file: '/w.safetensors', offset: 16, length: 12 };
  const graph = share((b, x) => [
    op.matMul(b, x, op.transpose(b, b.constant(large(), 'a'))),
    op.matMul(b, x, op.transpose(b, b.constant(large(), 'b'))),
    op.add(b, x, b.weight('v', 'float32', [3], range)),
    op.add(b, x, b.weight('w', 'float32', [3], range)),
    op.add(b, x, b.weight('u', 'float32', [3], { ...range, offset: 17 })),
    op.mul(b, x, b.constant(float32([0]))),
    op.mul(b, x, b.constant(float32([-0]))),
  ]);
  expect(graph.initializers.map(({ value }) => value.name)).toEqual(['a', 'v', 'u', 'constant', 'constant_1']);
  expect([count(graph, 'MatMul'), count(graph, 'Add'), count(graph, 'Mul')]).toEqual([1, 2, 2]);
});
