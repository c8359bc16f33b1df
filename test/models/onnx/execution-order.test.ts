import { expect, test } from 'vitest';

import { vjp } from '../../../models/autodiff/differentiate.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { executionOrder } from '../../../models/onnx/execution-order.ts';
import type { Graph, Value } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { noise } from '../../support/evaluate.ts';
import { executedNodes } from '../../support/executed-nodes.ts';

/** Branches that meet, two outputs, and a way back that reads what the way forth made. */
function branching(): Graph {
  const b = new GraphBuilder('branching');
  const x = b.input('x', 'float32', [4, 4]);
  let y: Value = x;
  for (let layer = 0; layer < 3; layer += 1) {
    const [left, right] = [op.sigmoid(b, y), op.tanh(b, op.matMul(b, y, y))];
    y = op.add(b, op.mul(b, right, left), y);
  }
  const [gradient] = vjp(b, [{ value: y, cotangent: b.input('g', 'float32', [4, 4]) }], [x]);
  b.output('gradient', gradient!);
  b.output('y', op.exp(b, y));
  return b.build();
}

// Independent of our emulation: the runtime's own profile of a run.
test("the order is that of onnxruntime's profile", async () => {
  const graph = branching();
  const feeds = { x: noise([4, 4], 1), g: noise([4, 4], 2) };
  const ran = await executedNodes(graph, feeds, { isFused: false });
  const order = executionOrder(graph).map(({ name }) => name);
  expect(order).toEqual(ran);
  // It is not that of the file.
  expect(order).not.toEqual(graph.nodes.map(({ name }) => name));
});
