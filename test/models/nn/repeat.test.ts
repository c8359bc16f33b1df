import { expect, test } from 'vitest';

import { lastNode } from '../../../models/nn/own-adjoint.ts';
import { repeatRows } from '../../../models/nn/repeat.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import * as op from '../../../models/onnx/ops.ts';
import { gradientOf } from '../../support/augment.ts';
import { runGraph } from '../../support/run-graph.ts';

test('copies stand side by side, and their cotangents are added', async () => {
  const b = new GraphBuilder('repeat');
  const x = b.input('x', 'float32', ['B', 2]);
  const { output, adjoints } = repeatRows(b, x, 3);
  expect(output.shape).toEqual(['3*B', 2]);
  const g = b.input('g', 'float32', output.shape);
  b.output('y', output);
  b.output('gradient', gradientOf(b, { value: output, cotangent: g }, { wrt: x, adjoints }));
  const result = await runGraph(b.build(), {
    x: float32([1, 2, 3, 4], [2, 2]),
    g: float32([1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60], [6, 2]),
  });
  expect([...result['y']!.data]).toEqual([1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4]);
  expect(result['gradient']).toEqual(float32([6, 60, 15, 150], [2, 2]));
});

test('one copy is the value itself', () => {
  const b = new GraphBuilder('repeat');
  const x = b.input('x', 'float32', ['B', 2]);
  expect(repeatRows(b, x, 1)).toEqual({ output: x, adjoints: [] });
});

test('an adjoint for a value that the last node did not make is refused', () => {
  const b = new GraphBuilder('repeat');
  const x = b.input('x', 'float32', ['B', 2]);
  const y = op.neg(b, x);
  op.neg(b, y);
  expect(() => lastNode(b, y)).toThrow(`${y.name} does not come from the last node`);
});
