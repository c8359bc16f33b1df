import fc from 'fast-check';
import { expect, test } from 'vitest';

import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import { checkGraph } from '../../../../models/onnx/check.ts';
import type { Graph } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { foldTransposes } from '../../../../models/onnx/passes/fold-transposes.ts';
import { optimise } from '../../../../models/onnx/passes/optimise.ts';
import { besideNode, rewrite } from '../../../../models/onnx/passes/rewrite.ts';
import { printGraph } from '../../../../models/onnx/print.ts';
import { randomGraph } from '../../../support/random-graph.ts';

/** exp(neg x), and y's own exp(tanh y), which no change of x reaches. */
function twoChains(): Graph {
  const b = new GraphBuilder('g');
  const [x, y] = [b.input('x', 'float32', ['B', 3]), b.input('y', 'float32', ['B', 3])];
  b.output('a', op.exp(b, op.neg(b, x)));
  b.output('b', op.exp(b, op.tanh(b, y)));
  return b.build();
}

test('a graph in which nothing changes is returned itself', () => {
  fc.assert(
    fc.property(randomGraph(), (graph) => {
      expect(rewrite(graph, () => undefined)).toBe(graph);
      expect(rewrite(graph, (node, rewriting) => rewriting.keep(node))).toBe(graph);
      const once = optimise(graph);
      expect(optimise(once)).toBe(once);
    }),
    { numRuns: 40 },
  );
});

test('without a node of the operators that a pass is about nothing is visited', () => {
  const graph = twoChains();
  const visited: string[] = [];
  const note = (node: { readonly op: string }): undefined => void visited.push(node.op);
  expect(rewrite(graph, note, { operators: new Set(['Conv']) })).toBe(graph);
  expect(visited).toEqual([]);
  rewrite(graph, note, { operators: new Set(['Neg', 'Tanh']) });
  expect(visited).toEqual(['Neg', 'Tanh']);
});

test('what follows from no change stays the same objects; what reads another value of the same shape makes the same', () => {
  const graph = twoChains();
  const rewritten = checkGraph(
    rewrite(graph, (node, { b }) =>
      node.op === 'Neg' ? [besideNode(b, node, () => op.mulScalar(b, node.inputs[0]!, -1))] : undefined,
    ),
  );
  const byOutput = (of: Graph, name: string) => of.nodes.find(({ outputs }) => outputs[0]?.name === name);
  expect(byOutput(rewritten, 'b')).toBe(byOutput(graph, 'b'));
  expect(byOutput(rewritten, 'Tanh:0')).toBe(byOutput(graph, 'Tanh:0'));
  const [reader, before] = [byOutput(rewritten, 'Exp:0')!, byOutput(graph, 'Exp:0')!];
  expect(reader.inputs[0]?.name).toBe('Mul:0');
  expect(reader.outputs[0]).toBe(before.outputs[0]);
});

test('a shape that a change tells reaches everything behind it', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', ['B', 4]);
  const sizes = b.input('sizes', 'int64', [2]);
  const [apart] = b.node('Reshape', [x, sizes]);
  b.output('y', op.exp(b, op.neg(b, apart!)));
  const graph = rewrite(b.build(), (node, rewriting) =>
    node.op === 'Reshape' ? [op.reshape(rewriting.b, node.inputs[0]!, ['B', 4])] : undefined,
  );
  expect(checkGraph(graph).outputs[0]?.shape).toEqual(['B', 4]);
  expect(graph.nodes.at(-1)?.inputs[0]?.shape).toEqual(['B', 4]);
});

test('readers are counted over all that a value stands for', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', [2, 3]);
  b.output('a', op.neg(b, op.exp(b, x)));
  b.output('b', op.neg(b, op.exp(b, x)));
  const counts: number[] = [];
  let first: readonly [ReturnType<typeof op.exp>] | undefined;
  rewrite(b.build(), (node, rewriting) => {
    if (node.op === 'Neg') counts.push(rewriting.readers(node.inputs[0]!));
    if (node.op !== 'Exp') return undefined;
    first ??= [rewriting.keep(node)[0]!];
    return first;
  });
  expect(counts).toEqual([1, 2]);
});

test('new names differ from those of nodes that are still to come', () => {
  const graph = twoChains();
  const doubled = rewrite(graph, (node, { b }) =>
    node.op === 'Neg' ? [op.neg(b, op.exp(b, node.inputs[0]!))] : undefined,
  );
  expect(printGraph(checkGraph(doubled))).toContain('Exp_2');
  expect(foldTransposes(doubled)).toBe(doubled);
});
