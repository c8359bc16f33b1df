import { expect, test } from 'vitest';

import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import { float32 } from '../../../../models/onnx/dtype.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { dropDeadCode } from '../../../../models/onnx/passes/dead-code.ts';

test('drops nodes and weights that no output needs, keeps inputs and nodes of which one output is needed', () => {
  const b = new GraphBuilder('g');
  const [x] = [b.input('x', 'float32', ['B', 4]), b.input('unused', 'float32', [1])];
  const [left] = op.split(b, x, [1, 3], 1);
  op.tanh(b, op.matMul(b, x, b.constant(float32([1, 2, 3, 4], [4, 1]), 'dead')));
  b.output('y', left!);
  const graph = dropDeadCode(b.build());
  expect(graph.nodes.map((node) => node.op)).toEqual(['Split', 'Identity']);
  expect(graph.initializers).toHaveLength(1);
  expect(graph.inputs.map(({ name }) => name)).toEqual(['x', 'unused']);
});
