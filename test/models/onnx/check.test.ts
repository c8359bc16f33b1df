import { expect, test } from 'vitest';

import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { checkGraph, graphProblems } from '../../../models/onnx/check.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';

function sound(): Graph {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', ['B', 3]);
  const w = b.weight('w', 'float32', [3, 2], { file: '/w.safetensors', offset: 8, length: 24 });
  b.output('y', op.relu(b, op.matMul(b, x, w)));
  return b.build();
}

const declared = (value: Value, change: Partial<Value>): Value => ({ ...value, ...change });

test('a graph of the builder is sound, also with dimensions known at run time only', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', ['B', 3]);
  const chosen = op.gatherNd(b, x, op.transpose(b, op.nonZero(b, x)));
  b.output('y', op.mul(b, chosen, chosen));
  expect(graphProblems(b.build())).toEqual([]);
  expect(checkGraph(sound()).nodes).toHaveLength(3);
});

test('names the node that reads a value before anything makes it', () => {
  const graph = sound();
  const reversed = { ...graph, nodes: [...graph.nodes].reverse() };
  expect(() => checkGraph(reversed)).toThrow('node y/Identity (Identity): reads "Relu:0" before anything makes it');
});

test('names node, output and both types where a declaration differs from inference', () => {
  const graph = sound();
  const [matMul, ...rest] = graph.nodes;
  const wrong = { ...matMul!, outputs: [declared(matMul!.outputs[0]!, { shape: ['B', 5] })] };
  expect(graphProblems({ ...graph, nodes: [wrong, ...rest] })[0]).toBe(
    'node MatMul (MatMul): output "MatMul:0" is declared as float32[B, 5], inference says float32[B, 2]',
  );
});

test('names a weight whose bytes do not fit its shape, outside and inside the graph', () => {
  const graph = sound();
  const value = graph.initializers[0]!.value;
  const external = { value, external: { file: '/w.safetensors', offset: 8, length: 20 } };
  expect(graphProblems({ ...graph, initializers: [external] })).toEqual([
    'initializer "w": 20 bytes of "/w.safetensors", its shape needs 24',
  ]);
  const inside = { value, data: { ...float32([1, 2, 3]), shape: [3, 2] } };
  expect(graphProblems({ ...graph, initializers: [inside] })).toEqual([
    'initializer "w": holds 12 bytes, its shape needs 24',
  ]);
});

test('names values and nodes that share a name, outputs that nobody makes, and unknown operators', () => {
  const graph = sound();
  const [first, second, last] = graph.nodes;
  expect(graphProblems({ ...graph, inputs: [...graph.inputs, ...graph.inputs] })).toEqual([
    'input "x": another value has the name "x"',
  ]);
  expect(graphProblems({ ...graph, nodes: [first!, { ...second!, name: first!.name }, last!] })).toEqual([
    'node MatMul (Relu): another node has its name',
  ]);
  expect(graphProblems({ ...graph, nodes: [first!, second!] })).toEqual(['output "y": nothing makes it']);
  expect(graphProblems({ ...graph, nodes: [first!, { ...second!, op: 'Reloo' }, last!] })).toEqual([
    'node Relu (Reloo): operator Reloo is not supported',
  ]);
  expect(graphProblems({ ...graph, nodes: [first!, { ...second!, inputs: [] }, last!] })).toEqual([
    'node Relu (Relu): input 0 is missing',
  ]);
  expect(() => checkGraph({ ...graph, nodes: [first!, second!], opset: 9 })).toThrow(
    'graph g: operator set 9, expected 21 (and 1 more problems)',
  );
});
