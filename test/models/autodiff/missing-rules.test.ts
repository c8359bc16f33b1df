import { expect, test, vi } from 'vitest';

import { grad } from '../../../models/autodiff/grad.ts';
import { missingRules } from '../../../models/autodiff/missing-rules.ts';
import type * as Registry from '../../../models/autodiff/registry.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Value } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';

// Whatever rules there are: in here Erf has none.
vi.mock(import('../../../models/autodiff/registry.ts'), async (original) => {
  const actual: typeof Registry = await original();
  return { ...actual, ruleOf: (name: string) => (name === 'Erf' ? undefined : actual.ruleOf(name)) };
});

test('all nodes without a rule are named, also behind one another, and none beside the way', () => {
  const b = new GraphBuilder('gaps');
  const x = b.input('x', 'float64', [3]);
  const without = (name: string, input: Value): Value =>
    b.namedNode({ name, op: 'Erf', inputs: [input], outputs: [`${name}.y`], attributes: {} })[0]!;
  b.output('y', without('second', op.tanh(b, without('first', x))));
  b.output('z', without('third', op.tanh(b, x)));
  const graph = b.build();
  expect(missingRules(graph).map(({ node }) => node)).toEqual(['first', 'second', 'third']);
  expect(missingRules(graph, { of: ['y'] })).toEqual(
    ['first', 'second'].map((node) => ({ node, operator: 'Erf', reason: 'Erf has no gradient rule' })),
  );
  expect(() => grad(graph, { of: ['z'], wrt: ['x'] })).toThrow('node third: Erf has no gradient rule for input 0');
});

test('a graph in which every node has a rule has none to name', () => {
  const b = new GraphBuilder('whole');
  b.output('y', op.tanh(b, b.input('x', 'float32', ['N'])));
  expect(missingRules(b.build())).toEqual([]);
});
