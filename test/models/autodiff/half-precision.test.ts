/**
 * @file Gradients of a graph in float16 against those of the same graph, with the same numbers, in float32.
 */
import { expect, test } from 'vitest';

import { gradientGraph } from '../../../models/autodiff/gradient-graph.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { elementCount } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import { fromFloat16, toFloat16 } from '../../../models/onnx/half.ts';
import * as op from '../../../models/onnx/ops.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';

type Real = 'float16' | 'float32';

function numbers(dtype: Real, shape: readonly number[], seed: number): Tensor {
  const bits = Uint16Array.from({ length: elementCount(shape) }, (_, at) => toFloat16(Math.sin(seed + at * at) / 2));
  return { dtype, shape, data: dtype === 'float16' ? bits : Float32Array.from(bits, fromFloat16) };
}

/** Windows and indices that overlap: what they send to one element is added up. */
function network(dtype: Real): Graph {
  const b = new GraphBuilder('picture');
  const x = b.input('x', dtype, ['N', 3, 8, 8]);
  const w = b.input('w', dtype, [4, 3, 3, 3]);
  const features = op.conv(b, x, w, undefined, { pads: [1, 1, 1, 1] });
  const pooled = op.maxPool(b, op.gelu(b, features), { kernelShape: [3, 3], strides: [2, 2] });
  const rows = op.gather(b, op.reshape(b, pooled, ['N', 36]), b.int64([1, 1, 5, 30, 0]), 1);
  b.output('y', op.softmax(b, op.mulScalar(b, rows, 3)));
  return gradientGraph(b.build(), { of: ['y'], wrt: ['x', 'w'] });
}

test('a graph in float16 has the gradients of the graph in float32, to three digits', async () => {
  const gradients = async (dtype: Real): Promise<Record<string, Tensor>> =>
    runGraph(network(dtype), {
      x: numbers(dtype, [2, 3, 8, 8], 1),
      w: numbers(dtype, [4, 3, 3, 3], 2),
      'cotangent.y': numbers(dtype, [2, 5], 3),
    });
  const [half, single] = [await gradients('float16'), await gradients('float32')];
  for (const name of ['gradient.x', 'gradient.w']) {
    expect(half[name]?.dtype).toBe('float16');
    const expected = toNumbers(single[name]!);
    const size = Math.max(...expected.map(Math.abs));
    const error = Math.max(...toNumbers(half[name]!).map((value, at) => Math.abs(value - expected[at]!)));
    expect(size).toBeGreaterThan(0.01);
    expect(error / size).toBeLessThan(5e-3);
  }
});
