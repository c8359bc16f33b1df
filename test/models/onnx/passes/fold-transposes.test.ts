import { describe, expect, test } from 'vitest';

import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import { float32 } from '../../../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { dropDeadCode } from '../../../../models/onnx/passes/dead-code.ts';
import { foldTransposes } from '../../../../models/onnx/passes/fold-transposes.ts';
import type { Shape } from '../../../../models/onnx/shapes.ts';
import { expectClose } from '../../../support/close.ts';
import { feedsFor } from '../../../support/random-graph.ts';
import { runGraph } from '../../../support/run-graph.ts';

const ROUNDING = { rtol: 1e-5, atol: 1e-6 }; // sums of few terms in another order

type Append = (b: GraphBuilder, x: Value, y: Value) => Value;

function graphOf(shapes: readonly [Shape, Shape], append: Append): Graph {
  const b = new GraphBuilder('g');
  b.output('out', append(b, b.input('x', 'float32', shapes[0]), b.input('y', 'float32', shapes[1])));
  return b.build();
}

/** Folds, compares numbers for a batch of 2, and returns what is left: operators with their flags. */
async function fold(shapes: readonly [Shape, Shape], append: Append): Promise<string[]> {
  const graph = graphOf(shapes, append);
  const folded = dropDeadCode(foldTransposes(graph));
  const feeds = feedsFor(graph, 2);
  const before = await runGraph(graph, feeds, undefined, { optimisation: 'disabled' });
  const after = await runGraph(folded, feeds, undefined, { optimisation: 'disabled' });
  expectClose(after['out'], before['out']!, ROUNDING);
  return folded.nodes
    .filter(({ op: operator }) => operator !== 'Identity')
    .map((node) => {
      const flags = ['transA', 'transB'].filter((flag) => node.attributes[flag]?.value === 1);
      const perm = node.attributes['perm']?.value;
      return [node.op, ...flags, ...(Array.isArray(perm) ? [perm.join('')] : [])].join(' ');
    });
}

describe('products of matrices', () => {
  const square: [Shape, Shape] = [
    [3, 3],
    [3, 3],
  ];
  test('with a transposed factor become a Gemm with flags', async () => {
    expect(await fold(square, (b, x, y) => op.matMul(b, op.transpose(b, x), y))).toEqual(['Gemm transA']);
    expect(await fold(square, (b, x, y) => op.matMul(b, x, op.transpose(b, y, [1, 0])))).toEqual(['Gemm transB']);
    expect(await fold(square, (b, x, y) => op.matMul(b, op.transpose(b, x), op.transpose(b, y)))).toEqual([
      'Gemm transA transB',
    ]);
  });

  test('of a Gemm turn its flags, the rest of it stays', async () => {
    expect(
      await fold(square, (b, x, y) =>
        op.gemm(b, op.transpose(b, x), op.transpose(b, y), x, { alpha: 0.5, beta: 2, transA: true }),
      ),
    ).toEqual(['Gemm transB']);
  });

  test('without transposes stay products', async () => {
    expect(await fold(square, (b, x, y) => op.matMul(b, x, y))).toEqual(['MatMul']);
  });

  test('a linear layer over a batch reads its weight as it lies', async () => {
    const left = await fold(
      [
        ['B', 5, 3],
        [4, 3],
      ],
      (b, x, y) => op.matMul(b, x, op.transpose(b, y)),
    );
    expect(left).toEqual(['Reshape', 'Gemm transB', 'Reshape']);
  });

  test('sizes that -1 cannot stand for leave it a product', async () => {
    const left = await fold(
      [
        ['B', 'B', 3],
        [4, 3],
      ],
      (b, x, y) => op.matMul(b, x, op.transpose(b, y)),
    );
    expect(left).toEqual(['Transpose', 'MatMul']);
  });

  test('whole numbers stay products: onnxruntime has no Gemm for them', () => {
    const b = new GraphBuilder('g');
    const x = b.input('x', 'int32', [3, 3]);
    b.output('out', op.matMul(b, x, op.transpose(b, x)));
    expect(foldTransposes(b.build()).nodes.map((node) => node.op)).toContain('MatMul');
  });
});

describe('transposes', () => {
  const shapes: [Shape, Shape] = [
    ['B', 3, 4, 5],
    ['B', 3, 5, 4],
  ];
  test('of transposes become one, or none', async () => {
    expect(
      await fold(shapes, (b, x) => op.neg(b, op.transpose(b, op.transpose(b, x, [0, 2, 1, 3]), [0, 3, 2, 1]))),
    ).toEqual(['Transpose 0312', 'Neg']);
    expect(
      await fold(shapes, (b, x) => op.neg(b, op.transpose(b, op.transpose(b, x, [1, 2, 3, 0]), [3, 0, 1, 2]))),
    ).toEqual(['Neg']);
    expect(await fold(shapes, (b, x) => op.neg(b, op.transpose(b, x, [0, 1, 2, 3])))).toEqual(['Neg']);
  });

  test('that others read as well are not made twice', async () => {
    const left = await fold(shapes, (b, x) => {
      const inner = op.transpose(b, x, [0, 2, 1, 3]);
      const outer = op.transpose(b, inner, [0, 3, 2, 1]);
      return op.add(b, op.reduceSum(b, inner), op.reduceSum(b, outer));
    });
    expect(left.filter((name) => name.startsWith('Transpose'))).toEqual(['Transpose 0213', 'Transpose 0321']);
  });

  test('of a product move to its factors where one vanishes there', async () => {
    const left = await fold(shapes, (b, x, y) =>
      op.transposeMatrix(b, op.matMul(b, op.transposeMatrix(b, y), op.transposeMatrix(b, x))),
    );
    expect(left).toEqual(['MatMul']);
  });

  test('that only move axes of size 1 are reshapes', async () => {
    const left = await fold([['B', 1, 4, 5], [1]], (b, x) => op.neg(b, op.transpose(b, x, [0, 2, 1, 3])));
    expect(left).toEqual(['Reshape', 'Neg']);
  });
});

test('new nodes are named beside the ones that they replace', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', [2, 3]);
  const w = b.constant(float32([1, 2, 3], [1, 3]), 'w');
  b.output(
    'y',
    b.scope('a', () => b.scope('b', () => op.matMul(b, x, op.transpose(b, w)))),
  );
  const gemm = foldTransposes(b.build()).nodes.find((node) => node.op === 'Gemm');
  expect(gemm?.name).toBe('/a/b/Gemm');
});
