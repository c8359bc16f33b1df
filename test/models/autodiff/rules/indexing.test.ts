import { describe, test } from 'vitest';

import { int64 } from '../../../../models/onnx/dtype.ts';
import { int } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
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
