import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import type { Tensor } from '../../../../models/onnx/dtype.ts';
import { float32, int64 } from '../../../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../../../models/onnx/graph.ts';
import { int } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { foldConstants } from '../../../../models/onnx/passes/constant-folding.ts';
import { dropDeadCode } from '../../../../models/onnx/passes/dead-code.ts';
import { expectClose } from '../../../support/close.ts';
import { runGraph } from '../../../support/run-graph.ts';

function graphOf(append: (b: GraphBuilder) => Value): Graph {
  const b = new GraphBuilder('g');
  b.output('y', append(b));
  return b.build();
}

const folded = (graph: Graph): Graph => dropDeadCode(foldConstants(graph));
const operators = (graph: Graph): string[] => graph.nodes.map((node) => node.op);

describe('shapes', () => {
  test('arithmetic on sizes that are known vanishes', () => {
    const graph = graphOf((b) => {
      const x = b.input('x', 'float32', ['B', 6, 4]);
      const sizes = b.node('Shape', [x])[0]!;
      const product = op.mul(b, op.gather(b, sizes, b.int64([1])), op.gather(b, sizes, b.int64([2])));
      return op.reshapeTo(b, op.reduceSum(b, x, { axes: [0] }), product);
    });
    expect(operators(folded(graph))).toEqual(['ReduceSum', 'Reshape', 'Identity']);
  });

  test('an expansion with symbolic sizes gets a constant: 1 for a size that stays', async () => {
    const graph = graphOf((b) => op.expand(b, b.input('x', 'float32', ['B', 1, 2]), ['B', 3, 2]));
    expect(operators(graph)).toContain('Concat');
    const result = folded(graph);
    expect(operators(result)).toEqual(['Expand', 'Identity']);
    expect(result.outputs[0]?.shape).toEqual(['B', 3, 2]);
    const x = float32([1, 2, 3, 4], [2, 1, 2]);
    expect((await runGraph(result, { x }))['y']).toEqual((await runGraph(graph, { x }))['y']);
  });

  test('an expansion to a size that the input does not have reads it at run time', () => {
    const graph = graphOf((b) => {
      const like = b.input('like', 'float32', ['B', 4]);
      return op.expandTo(b, b.input('x', 'float32', [1, 4]), op.shape(b, like));
    });
    expect(operators(folded(graph))).toEqual(['Shape', 'Expand', 'Identity']);
  });

  test('a reshape with symbolic sizes gets a constant: 0 for a size that stays, -1 for another', async () => {
    const graph = graphOf((b) => {
      const x = b.input('x', 'float32', ['B', 'T', 4]);
      const sizes = b.node('Shape', [x])[0]!;
      const two = b.int64([2]);
      return op.reshapeTo(
        b,
        x,
        op.concat(b, [op.gather(b, sizes, b.int64([0])), op.gather(b, sizes, b.int64([1])), two, two], 0),
      );
    });
    const result = folded(graph);
    expect(operators(result)).toEqual(['Reshape', 'Identity']);
    expect(result.outputs[0]?.shape).toEqual(['B', 'T', 2, 2]);
    const x = float32(
      Array.from({ length: 24 }, (_, at) => at),
      [3, 2, 4],
    );
    expectClose((await runGraph(result, { x }))['y'], { ...x, shape: [3, 2, 2, 2] }, { rtol: 0, atol: 0 });
  });

  test('a size that is known at run time only is left alone', () => {
    const graph = graphOf((b) => {
      const sizes = (name: string): Value => op.shape(b, op.nonZero(b, b.input(name, 'float32', [5])));
      return op.reshapeTo(b, b.input('z', 'float32', ['N']), op.mul(b, sizes('u'), sizes('v')));
    });
    const twoUnknown = graphOf((b) => {
      const last = (name: string): Value =>
        op.gather(b, op.shape(b, op.nonZero(b, b.input(name, 'float32', [5]))), b.int64([1]));
      return op.reshapeTo(b, b.input('z', 'float32', ['N']), op.concat(b, [last('u'), last('v')], 0));
    });
    expect(operators(folded(twoUnknown))).toEqual(operators(twoUnknown));
    // One size of that kind is what the others leave.
    expect(operators(folded(graph))).toEqual(['Reshape', 'Identity']);
  });
});

test('outputs of the graph keep their names, also where they are constants', async () => {
  const graph = graphOf((b) => op.add(b, b.constant(float32([1, 2])), b.constant(float32([3, 4]))));
  const result = folded(graph);
  expect(operators(result)).toEqual(['Identity']);
  expectClose((await runGraph(result, {}))['y'], float32([4, 6]), { rtol: 0, atol: 0 });
});

test('weights of other files are never folded, large results are not made', () => {
  const graph = graphOf((b) => {
    const w = b.weight('w', 'float32', [2, 2], { file: '/w', offset: 0, length: 16 });
    const large = op.expand(b, b.scalar(1), [300, 300]);
    return op.add(b, op.reduceSum(b, op.transpose(b, w)), large);
  });
  expect(operators(folded(graph))).toEqual(
    ['Transpose', 'Expand', 'ReduceSum', 'Add', 'Identity'].sort(
      (a, b) => operators(graph).indexOf(a) - operators(graph).indexOf(b),
    ),
  );
});

const EXPRESSIONS: Record<string, (b: GraphBuilder, x: Value, i: Value) => Value> = {
  Gather: (b, x) => op.gather(b, x, b.constant(int64([1, -1, 0, 0], [2, 2])), 1),
  Concat: (b, x) => op.concat(b, [x, x, op.neg(b, x)], 1),
  'Slice backwards': (b, x) => op.slice(b, x, { starts: [-1, 2], ends: [-100, 0], axes: [0, 2], steps: [-1, -2] }),
  'Slice with steps': (b, x) => op.slice(b, x, { starts: [0], ends: [op.TO_THE_END], axes: [-1], steps: [3] }),
  'Slice beyond the start': (b, x) => op.slice(b, x, { starts: [-9], ends: [-9], axes: [1], steps: [-1] }),
  Transpose: (b, x) => op.transpose(b, x, [2, 0, 1]),
  'Transpose by default': (b, x) => op.transpose(b, x),
  Reshape: (b, x) => op.reshape(b, x, [4, 6]),
  Flatten: (b, x) => b.node('Flatten', [x], { axis: int(2) })[0]!,
  'Unsqueeze and Squeeze': (b, x) => op.squeeze(b, op.unsqueeze(b, x, [0, -1]), [0]),
  Expand: (b, x) => op.expand(b, op.unsqueeze(b, x, [1]), [2, 2, 3, 4]),
  Tile: (b, x) => op.tile(b, x, [2, 1, 2]),
  'Add with broadcasting': (b, x) => op.add(b, x, op.slice(b, x, { starts: [0], ends: [1], axes: [1] })),
  Sub: (b, x) => op.subScalar(b, x, 0.1),
  Mul: (b, x) => op.mul(b, x, x),
  Div: (b, x) => op.divScalar(b, x, 3),
  Max: (b, x) => op.max(b, x, b.scalar(0.25)),
  'Sqrt of Abs': (b, x) => op.sqrt(b, op.abs(b, x)),
  Reciprocal: (b, x) => op.reciprocal(b, x),
  'Floor and Ceil': (b, x) => op.add(b, op.floor(b, x), op.ceil(b, x)),
  'Cast to int64': (b, x) => op.cast(b, op.mulScalar(b, x, 10), 'int64'),
  'Cast to bool': (b, x) => op.cast(b, op.floor(b, x), 'bool'),
  'Cast of int64': (b, _, i) => op.cast(b, i, 'float32'),
  'int64 Div truncates': (b, _, i) => op.div(b, i, b.scalar(-4, 'int64')),
  'int64 Mul': (b, _, i) => op.mul(b, i, op.sub(b, i, b.scalar(3, 'int64'))),
  Where: (b, x) => op.where(b, op.greater(b, x, b.scalar(0)), x, op.neg(b, x)),
  'Comparisons and logic': (b, x) =>
    op.and(b, op.lessOrEqual(b, x, b.scalar(0.5)), op.not(b, op.equal(b, x, op.abs(b, x)))),
  Range: (b) => op.range(b, b.scalar(7, 'int64'), b.scalar(-4, 'int64'), b.scalar(-3, 'int64')),
  ConstantOfShape: (b) => op.constantOfShape(b, b.int64([2, 3]), float32([1.5])),
  'ConstantOfShape of a shape': (b, x) =>
    op.constantOfShape(b, b.node('Shape', [x], { start: int(-2) })[0]!, int64([7])),
  Size: (b, x) => b.node('Size', [x])[0]!,
};

test.each(Object.entries(EXPRESSIONS))(
  '%s becomes a constant with the numbers of onnxruntime',
  async (_, expression) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.float({ min: -2, max: 2, noNaN: true, noDefaultInfinity: true }), { minLength: 24, maxLength: 24 }),
        async (numbers) => {
          const graph = graphOf((b) => {
            const x = b.constant(
              float32(
                numbers.map((v) => v || 0.5),
                [2, 3, 4],
              ),
            );
            const i = b.constant(
              int64(
                numbers.map((v) => Math.round(v * 1000)),
                [2, 3, 4],
              ),
            );
            return expression(b, x, i);
          });
          const result = folded(graph);
          expect(operators(result)).toEqual(['Identity']);
          const before = await runGraph(graph, {}, undefined, { optimisation: 'disabled' });
          expectClose((await runGraph(result, {}))['y'], before['y']!, { rtol: 0, atol: 0 });
        },
      ),
      { numRuns: 8 },
    );
  },
);

test('what is not defined to the last bit is left to onnxruntime', () => {
  const one: Tensor = int64([1]);
  const graph = graphOf((b) => {
    const x = b.constant(float32([NaN, 3e9, -1]));
    const cast = op.cast(b, op.cast(b, x, 'int64'), 'float32');
    const quotient = op.cast(b, op.div(b, b.constant(one), b.int64([0])), 'float32');
    return op.add(b, op.add(b, cast, quotient), op.add(b, op.exp(b, x), op.max(b, x, b.scalar(0))));
  });
  expect(new Set(operators(folded(graph)))).toEqual(new Set(operators(graph)));
});
