import { describe, expect, test } from 'vitest';

import { gradientGraph } from '../../../../models/autodiff/gradient-graph.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import { float32, int64 } from '../../../../models/onnx/dtype.ts';
import { int, ints } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { runGraph } from '../../../support/run-graph.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

describe('operators that make tensors of few numbers', () => {
  test.each(['static', 'open'] as const)('OneHot sends its two values the sums of their places (%s)', async (known) => {
    await checkGradient(
      (b, [values, indices]) => b.node('OneHot', [indices, b.int64([4]), values], { axis: int(1) })[0]!,
      [randomTensor([2], 1, { dtype: 'float32' }), int64([0, 3, -1, 7, 2, 1], [2, 3])],
      { fixed: [1], isLinear: true, known },
    );
  });

  test('Range by its start and its delta', async () => {
    const scalarOf = (value: number) => ({ dtype: 'float64' as const, shape: [], data: Float64Array.of(value) });
    await checkGradient(
      (b, [start, delta]) => {
        const limit = op.add(b, start!, op.mulScalar(b, delta!, 4.5));
        const steps = op.range(b, start!, limit, delta!);
        return op.reduceSum(b, op.mul(b, steps, steps), { keepdims: false });
      },
      [scalarOf(0.3), scalarOf(0.7)],
    );
  });
});

describe('operators that say where elements were', () => {
  test.each([{}, { axis: int(0) }, { sorted: int(0) }])(
    'Unique takes what is there twice from its first place (%#)',
    async (attributes) => {
      const x = float32([3, 1, 3, 1, 2, 2, 3, 1, 3], [3, 3]);
      const expected = 'axis' in attributes ? [2, 3] : [3];
      const b = new GraphBuilder('unique');
      b.output('y', b.node('Unique', [b.input('x', 'float32', [3, 3])], attributes)[0]!);
      const graph = gradientGraph(b.build(), { of: ['y'], wrt: ['x'] });
      const y = (await runGraph(b.build(), { x }, ['y']))['y']!;
      expect(y.shape).toEqual(expected);
      const values = Array.from(y.data as Float32Array);
      const cotangent = float32(
        values.map((_, at) => at + 1),
        y.shape,
      );
      const { 'gradient.x': gradient } = await runGraph(graph, { x, 'cotangent.y': cotangent }, ['gradient.x']);
      // Every element of the result, by its value at the place that has the cotangent.
      const seen = new Map<number, number>();
      Array.from(gradient!.data as Float32Array).forEach((share, at) => {
        if (share !== 0) seen.set(share, Number(x.data[at]));
      });
      expect([...seen].sort(([a], [z]) => a - z)).toEqual(values.map((value, at) => [at + 1, value]));
    },
  );

  test('MaxUnpool reads where it has written', async () => {
    await checkGradient(
      (b, [x, places]) => b.node('MaxUnpool', [x, places], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) })[0]!,
      [randomTensor([1, 2, 2, 2], 1, { dtype: 'float32' }), int64([5, 7, 13, 10, 16, 22, 27, 30], [1, 2, 2, 2])],
      { fixed: [1], isLinear: true },
    );
  });

  test('ReverseSequence turns round what it has turned', async () => {
    await checkGradient(
      (b, [x, lengths]) => b.node('ReverseSequence', [x, lengths], { time_axis: int(0), batch_axis: int(1) })[0]!,
      [randomTensor([4, 3, 2], 1), int64([1, 3, 4])],
      { fixed: [1], isLinear: true },
    );
  });
});
