import { expect, test } from 'vitest';

import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import type { Value } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { dropDeadCode } from '../../../../models/onnx/passes/dead-code.ts';
import { dropNoOperations } from '../../../../models/onnx/passes/no-operations.ts';

function left(append: (b: GraphBuilder, x: Value) => Value): string[] {
  const b = new GraphBuilder('g');
  b.output('y', op.neg(b, append(b, b.input('x', 'float32', ['B', 3, 1]))));
  const graph = dropDeadCode(dropNoOperations(b.build()));
  return graph.nodes.map((node) => node.op).filter((operator) => operator !== 'Neg' && operator !== 'Identity');
}

test.each<[string, (b: GraphBuilder, x: Value) => Value]>([
  ['Identity', (b, x) => op.identity(b, op.identity(b, x))],
  ['Reshape to the symbolic shape that is there', (b, x) => b.node('Reshape', [x, b.int64([-1, 3, 1])])[0]!],
  ['Expand to its own shape', (b, x) => op.expandTo(b, x, b.node('Shape', [x])[0]!)],
  ['Tile by ones', (b, x) => op.tile(b, x, [1, 1, 1])],
  ['whole Slice', (b, x) => op.slice(b, x, { starts: [0, 0], ends: [3, op.TO_THE_END], axes: [1, 0] })],
  ['Pad by nothing', (b, x) => op.pad(b, x, [0, 0, 0, 0, 0, 0])],
  ['Concat of one', (b, x) => b.node('Concat', [x], { axis: { type: 'int', value: 0 } })[0]!],
  ['Cast to the same type', (b, x) => b.node('Cast', [x], { to: { type: 'int', value: 1 } })[0]!],
])('%s vanishes', (_, append) => {
  expect(left(append)).toEqual([]);
});

test.each<[string, (b: GraphBuilder, x: Value) => Value]>([
  ['Slice', (b, x) => op.slice(b, x, { starts: [-1], ends: [-op.TO_THE_END], axes: [1], steps: [-1] })],
  ['Pad', (b, x) => op.pad(b, x, [0, 1, 0, 0, -1, 0])],
  ['Reshape', (b, x) => op.reshape(b, x, ['B', 1, 3])],
])('%s of equal size but other elements, or other shape, stays', (operator, append) => {
  expect(left(append)).toEqual([operator]);
});

test.each<[string, string[], (b: GraphBuilder, x: Value) => Value]>([
  ['of another size', ['Reshape'], (b, x) => op.unsqueeze(b, op.reshape(b, x, [3, 'B']), [0, 2])],
  ['back to where it began', [], (b, x) => op.unsqueeze(b, op.squeeze(b, x, [2]), [2])],
])('a reshape of a reshape %s is one, or none', (_, expected, append) => {
  expect(left(append)).toEqual(expected);
});

test('a node that makes an output of the graph keeps its name', () => {
  const b = new GraphBuilder('g');
  const value = b.node('Reshape', [b.input('x', 'float32', ['B', 3]), b.int64([-1, 3])])[0]!;
  b.outputAsNamed(value);
  const graph = dropNoOperations(b.build());
  expect(graph.outputs.map(({ name }) => name)).toEqual([value.name]);
});
