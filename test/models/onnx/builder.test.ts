import fc from 'fast-check';
import { expect, test } from 'vitest';

import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { checkGraph } from '../../../models/onnx/check.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import * as op from '../../../models/onnx/ops.ts';
import { printGraph } from '../../../models/onnx/print.ts';
import { randomGraph } from '../../support/random-graph.ts';

test('nodes are named as paths of their scopes, numbered where a name is taken', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', [2]);
  b.scope('decoder', () => b.scope('norm', () => [op.neg(b, x), op.neg(b, x)]));
  op.neg(b, x);
  expect(b.nodes.map(({ name }) => name)).toEqual(['/decoder/norm/Neg', '/decoder/norm/Neg_1', 'Neg']);
  expect(b.nodes[1]?.outputs[0]?.name).toBe('/decoder/norm/Neg_1:0');
});

test('a scope ends also where its contents fail', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', [2]);
  expect(() => b.scope('a', () => op.transpose(b, x, [1]))).toThrow('node /a/Transpose (Transpose)');
  op.neg(b, x);
  expect(b.nodes.at(-1)?.name).toBe('Neg');
});

test('names of values are unique whatever nodes, constants and inputs are called', () => {
  const b = new GraphBuilder('g');
  const x = b.input('Neg:0', 'float32', [2]);
  b.input('constant', 'float32', [1]);
  const values = [op.neg(b, x), op.neg(b, x), b.constant(float32([1])), b.constant(float32([2]), 'Neg:0')];
  expect(new Set([x, ...b.inputs, ...values].map(({ name }) => name)).size).toBe(6);
  b.output('y', values[0]!);
  expect(checkGraph(b.build()).outputs[0]?.name).toBe('y');
  expect(() => b.output('Neg:0', values[0]!)).toThrow('graph g: two values have the name "Neg:0"');
  expect(() => b.input('y', 'float32', [])).toThrow('two values have the name "y"');
});

test('small equal constants are one value; weights are one by name', () => {
  const b = new GraphBuilder('g');
  expect(b.constant(float32([1, 2]))).toBe(b.constant(float32([1, 2])));
  expect(b.constant(float32([1, 2]))).not.toBe(b.constant(float32([1, 2], [2, 1])));
  expect(b.scalar(0)).not.toBe(b.scalar(-0));
  const range = { file: '/w', offset: 0, length: 4 };
  expect(b.weight('w', 'float32', [1], range)).toBe(b.weight('w', 'float32', [1], range));
});

test('sizes that are symbolic are read from values that have them', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', ['B', 'T', 4]);
  expect(b.constantOf(b.shapeVector([2, 3]))).toEqual(int64([2, 3]));
  const flat = op.reshape(b, x, ['B*T', 4]);
  expect(flat.shape).toEqual(['B*T', 4]);
  const both = b.shapeVector(['T', 'B', 4]);
  expect(b.dimsOf(both)).toEqual(['T', 'B', 4]);
  expect(() => b.shapeVector(['N'])).toThrow('graph g: no value has an axis of size "N"');
});

test('a builder goes on where a finished graph ends', () => {
  fc.assert(
    fc.property(randomGraph(), (graph) => {
      const b = GraphBuilder.from(graph);
      graph.outputs.forEach((output, at) => b.output(`neg${at}`, op.neg(b, output)));
      const longer = checkGraph(b.build());
      expect(longer.nodes.slice(0, graph.nodes.length)).toEqual(graph.nodes);
      expect(printGraph(longer)).toContain('output neg0');
    }),
    { numRuns: 30 },
  );
});

test('reserved names wait for whoever asks for exactly them', () => {
  const b = new GraphBuilder('g');
  b.reserve(['Neg:0'], ['Neg']);
  const x = b.input('x', 'float32', [2]);
  op.neg(b, x);
  const [kept] = b.namedNode({ name: 'Neg', op: 'Neg', inputs: [x], outputs: ['Neg:0'], attributes: {} });
  expect(b.nodes.map(({ name }) => name)).toEqual(['Neg_1', 'Neg']);
  expect(kept?.name).toBe('Neg:0');
});
