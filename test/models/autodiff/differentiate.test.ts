/**
 * @file Reverse mode as a whole: what it follows, shares, refuses and appends.
 */
import { describe, expect, test } from 'vitest';

import { vjp, vjpOrZeros } from '../../../models/autodiff/differentiate.ts';
import type { Rule } from '../../../models/autodiff/rule.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import { float, int } from '../../../models/onnx/graph.ts';
import type { Node, Value } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { runGraph } from '../../support/run-graph.ts';

/** Operators of the nodes that differentiation appended. */
function appended(b: GraphBuilder, differentiate: () => void): string[] {
  const before = b.nodes.length;
  differentiate();
  return b.nodes.slice(before).map((node) => node.op);
}

function start(): { b: GraphBuilder; x: Value; w: Value; c: Value } {
  const b = new GraphBuilder('test');
  const x = b.input('x', 'float32', [2, 3]);
  const w = b.input('w', 'float32', [3, 4]);
  return { b, x, w, c: b.input('c', 'float32', [2, 4]) };
}

describe('what is followed', () => {
  test('only nodes between the wanted inputs and the outputs get gradients', () => {
    const { b, x, w, c } = start();
    const y = op.matMul(b, op.exp(b, x), w);
    op.matMul(b, op.sin(b, x), w); // Read by nobody.
    const byInput = appended(b, () => vjp(b, [{ value: y, cotangent: c }], [x]));
    expect(byInput).toEqual(['Gemm', 'Mul']);
    const byWeight = appended(b, () => vjp(b, [{ value: y, cotangent: c }], [w]));
    expect(byWeight).toEqual(['Gemm']);
  });

  test('an input that no output depends on has no gradient, or zeros on demand', async () => {
    const { b, x, w, c } = start();
    const y = op.matMul(b, x, b.constant(float32(new Array(12).fill(1), [3, 4])));
    expect(vjp(b, [{ value: y, cotangent: c }], [w])).toEqual([undefined]);
    b.output('zeros', vjpOrZeros(b, [{ value: y, cotangent: c }], [w])[0]!);
    const feeds = { x: float32([1, 2, 3, 4, 5, 6], [2, 3]), w: float32(new Array(12).fill(5), [3, 4]) };
    const { zeros } = await runGraph(b.build(), { ...feeds, c: float32(new Array(8).fill(1), [2, 4]) }, ['zeros']);
    expect(zeros).toEqual(float32(new Array(12).fill(0), [3, 4]));
  });

  test('comparisons, rounding and integers end a path quietly', () => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', [2, 3]);
    const c = b.input('c', 'float32', [2, 3]);
    const mask = op.cast(b, op.greater(b, x, b.scalar(0)), 'float32');
    const whole = op.cast(b, op.cast(b, x, 'int64'), 'float32');
    const blocked = op.add(b, op.add(b, mask, whole), op.floor(b, x));
    expect(vjp(b, [{ value: blocked, cotangent: c }], [x])).toEqual([undefined]);
    const through = appended(b, () => vjp(b, [{ value: op.mul(b, blocked, x), cotangent: c }], [x]));
    expect(through).toEqual(['Mul', 'Mul']);
  });

  test.each<[string, (b: GraphBuilder, x: Value) => Value]>([
    ...['Floor', 'Ceil', 'Round', 'Sign', 'Shape', 'Size', 'NonZero', 'ArgMax', 'ArgMin', 'Hardmax'].map(
      (name): [string, (b: GraphBuilder, x: Value) => Value] => [name, (b, x) => b.node(name, [x])[0]!],
    ),
    ['ConstantOfShape', (b, x) => op.constantOfShape(b, op.shape(b, x), float32([2]))],
    ['OneHot of places', (b, x) => b.node('OneHot', [x, b.scalar(4, 'int64'), b.constant(float32([0, 1]))])[0]!],
    ['TopK, its places', (b, x) => b.node('TopK', [x, b.int64([1])], {}, 2)[1]!],
  ])('%s alone: there is no gradient', (_, make) => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', ['N', 3]);
    const y = op.cast(b, make(b, x), 'float32');
    expect(vjp(b, [{ value: y, cotangent: b.input('c', 'float32', y.shape) }], [x])).toEqual([undefined]);
  });

  test('a value in the middle is a wanted input like any other', async () => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', [2]);
    const c = b.input('c', 'float32', [2]);
    const middle = op.mul(b, x, x);
    const y = op.mul(b, middle, middle);
    const [byMiddle, byX, byY] = vjp(b, [{ value: y, cotangent: c }], [middle, x, y]);
    b.output('middle', byMiddle!);
    b.output('of x', byX!);
    expect(byY).toBe(c);
    const results = await runGraph(b.build(), { x: float32([2, 3]), c: float32([1, 1]) });
    // y = x^4: by x^2 it is 2 x^2, by x it is 4 x^3.
    expect(Array.from(results['middle']!.data as Float32Array)).toEqual([8, 18]);
    expect(Array.from(results['of x']!.data as Float32Array)).toEqual([32, 108]);
  });

  test('cotangents of several outputs and several readers are added', async () => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', [2]);
    const c = b.input('c', 'float32', [2]);
    const [y, z] = [op.mulScalar(b, x, 3), op.add(b, x, x)];
    const [gradient] = vjp(
      b,
      [
        { value: y, cotangent: c },
        { value: z, cotangent: c },
      ],
      [x],
    );
    b.output('g', gradient!);
    const { g } = await runGraph(b.build(), { x: float32([0, 0]), c: float32([1, 10]) });
    expect(Array.from(g!.data as Float32Array)).toEqual([5, 50]);
  });
});

describe('what is shared', () => {
  test('softmax uses the probabilities of the forward pass', () => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', [2, 3]);
    const y = op.softmax(b, x);
    const nodes = appended(b, () => vjp(b, [{ value: y, cotangent: b.input('c', 'float32', [2, 3]) }], [x]));
    expect(nodes).toEqual(['Mul', 'ReduceSum', 'Sub', 'Mul']);
  });

  test('layer normalization uses the mean and deviation that its node gives away', async () => {
    const gradientWith = async (outputs: number): Promise<{ nodes: string[]; data: number[] }> => {
      const b = new GraphBuilder('test');
      const x = b.input('x', 'float32', [2, 3]);
      const scale = b.constant(float32([1, 2, 3]));
      const attributes = { axis: int(-1), epsilon: float(1e-5) };
      const [y] = b.node('LayerNormalization', [x, scale], attributes, outputs);
      const c = b.input('c', 'float32', [2, 3]);
      const nodes = appended(b, () => b.output('g', vjp(b, [{ value: y!, cotangent: c }], [x])[0]!));
      const feeds = { x: float32([1, 2, 4, -1, 0, 5], [2, 3]), c: float32([1, -1, 2, 0, 3, 1], [2, 3]) };
      const { g } = await runGraph(b.build(), feeds, ['g']);
      return { nodes, data: Array.from(g!.data as Float32Array) };
    };
    const [recomputed, shared] = [await gradientWith(1), await gradientWith(3)];
    expect(recomputed.nodes).toContain('LayerNormalization');
    expect(shared.nodes).not.toContain('LayerNormalization');
    shared.data.forEach((value, at) => expect(value).toBeCloseTo(recomputed.data[at]!, 5));
  });

  test('what two inputs of a node need is computed once', () => {
    const b = new GraphBuilder('test');
    const [x, y] = [b.input('x', 'float32', [2]), b.input('y', 'float32', [2])];
    const quotient = op.div(b, x, y);
    const nodes = appended(b, () => vjp(b, [{ value: quotient, cotangent: b.input('c', 'float32', [2]) }], [x, y]));
    expect(nodes).toEqual(['Div', 'Mul', 'Neg']);
  });

  test('a linear layer stores no transposed weight: the product reads it where it lies', () => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', ['B', 5, 3]);
    const w = b.input('w', 'float32', [4, 3]);
    const y = op.matMul(b, x, op.transposeMatrix(b, w));
    const c = b.input('c', 'float32', ['B', 5, 4]);
    const nodes = appended(b, () => vjp(b, [{ value: y, cotangent: c }], [x]));
    expect(nodes).not.toContain('Transpose');
    expect(b.nodes.filter((node) => node.op === 'Gemm').map((node) => node.inputs[1])).toEqual([w]);
  });
});

describe('what is refused', () => {
  /** The one operator that we infer and do not differentiate: files that have it are read as Resize. */
  const withoutRule = (b: GraphBuilder, x: Value): Value => b.node('Upsample', [x, b.constant(float32([1, 1]))])[0]!;

  test('an operator without a rule is one error that names node, operator and input', () => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', [2, 3]);
    const y = b.scope('tower', () => withoutRule(b, x));
    const c = b.input('c', 'float32', [2, 3]);
    expect(() => vjp(b, [{ value: y, cotangent: c }], [x])).toThrow(
      expect.objectContaining({
        code: 'MissingGradientRule',
        message: 'node /tower/Upsample: Upsample has no gradient rule for input 0 ("x")',
        details: { node: '/tower/Upsample', operator: 'Upsample', input: 0 },
      }),
    );
  });

  test('but only on a path that needs it', () => {
    const b = new GraphBuilder('test');
    const [x, other] = [b.input('x', 'float32', [2, 3]), b.input('other', 'float32', [2, 3])];
    const y = op.mul(b, withoutRule(b, other), x);
    const c = b.input('c', 'float32', [2, 3]);
    expect(vjp(b, [{ value: y, cotangent: c }], [x])[0]).toBeDefined();
  });

  test('a reduction of ScatterND that is not linear', () => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', [3]);
    const attributes = { reduction: { type: 'string', value: 'mul' } } as const;
    const y = b.node(
      'ScatterND',
      [x, b.constant({ dtype: 'int64', shape: [1, 1], data: new BigInt64Array(1) }), b.constant(float32([2]))],
      attributes,
    )[0]!;
    expect(() => vjp(b, [{ value: y, cotangent: x }], [x])).toThrow('reduction "mul"');
  });

  test('a cotangent of another type or rank', () => {
    const { b, x, w } = start();
    const y = op.matMul(b, x, w);
    expect(() => vjp(b, [{ value: y, cotangent: b.scalar(1) }], [x])).toThrow(
      /^cotangent of MatMul:0: found float32 \[\], expected float32 \[2, 4\]$/,
    );
  });
});

describe('overrides', () => {
  test('a node may bring its own rule, before that of its operator', async () => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', [2]);
    const y = op.exp(b, op.exp(b, x));
    const last = b.nodes.at(-1)!;
    const straightThrough: Rule = ({ g }) => [() => g];
    const overrides = new Map<Node, Rule>([[last, straightThrough]]);
    b.output('g', vjp(b, [{ value: y, cotangent: b.constant(float32([1, 1])) }], [x], { overrides })[0]!);
    const { g } = await runGraph(b.build(), { x: float32([0, 1]) });
    expect(Array.from(g!.data as Float32Array)).toEqual([1, Math.fround(Math.E)]);
  });

  test('also where the operator ends every path', () => {
    const b = new GraphBuilder('test');
    const x = b.input('x', 'float32', [2]);
    const y = op.floor(b, x);
    const overrides = new Map<Node, Rule>([[b.nodes.at(-1)!, ({ g }) => [() => g]]]);
    expect(vjp(b, [{ value: y, cotangent: x }], [x], { overrides })).toEqual([x]);
  });
});

test('names of appended nodes say whose gradient they are part of', () => {
  const b = new GraphBuilder('test');
  const x = b.input('x', 'float32', [2]);
  const y = b.scope('block', () => op.exp(b, x));
  vjp(b, [{ value: y, cotangent: b.input('c', 'float32', [2]) }], [x]);
  expect(b.nodes.at(-1)!.name).toBe('/vjp/block/Exp/Mul');
});
