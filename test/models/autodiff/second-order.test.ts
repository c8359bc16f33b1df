/**
 * @file The gradient of a gradient graph.
 */
import { describe, test } from 'vitest';

import * as op from '../../../models/onnx/ops.ts';
import { awayFromZero, positive } from './arbitraries.ts';
import type { Build } from './check-gradient.ts';
import { checkGradient, randomTensor } from './check-gradient.ts';

describe('second order', () => {
  const smooth: readonly (readonly [string, Build, readonly (readonly number[])[]])[] = [
    ['Mul and Div', (b, [x, y]) => op.div(b, op.mul(b, x!, x!), y!), [[2, 3], [3]]],
    [
      'Pow',
      (b, [x, y]) => op.pow(b, x!, y!),
      [
        [2, 3],
        [2, 1],
      ],
    ],
    ['Exp, Log, Sqrt', (b, [x]) => op.log(b, op.sqrt(b, op.addScalar(b, op.exp(b, x!), 1))), [[4]]],
    ['Tanh, Sigmoid', (b, [x]) => op.tanh(b, op.mul(b, x!, op.sigmoid(b, x!))), [[2, 4]]],
    [
      'Sin, Cos, Reciprocal',
      (b, [x]) => op.reciprocal(b, op.addScalar(b, op.mul(b, op.sin(b, x!), op.cos(b, x!)), 2)),
      [[4]],
    ],
    [
      'MatMul',
      (b, [x, y]) => op.tanh(b, op.matMul(b, x!, y!)),
      [
        [2, 3, 4],
        [4, 2],
      ],
    ],
    [
      'attention',
      (b, [q, k, v]) => op.matMul(b, op.softmax(b, op.matMul(b, q!, op.transposeMatrix(b, k!))), v!),
      [
        [2, 3, 4],
        [2, 5, 4],
        [2, 5, 2],
      ],
    ],
    [
      'Gemm',
      (b, [x, y]) => op.tanh(b, op.gemm(b, x!, y!, undefined, { transB: true })),
      [
        [3, 4],
        [2, 4],
      ],
    ],
    [
      'Einsum',
      (b, [x, y]) => op.tanh(b, op.einsum(b, 'iij,jk->ik', [x!, y!])),
      [
        [3, 3, 2],
        [2, 4],
      ],
    ],
    ['LogSoftmax', (b, [x]) => op.logSoftmax(b, x!, 0), [[4, 2]]],
    [
      'reductions',
      (b, [x]) => op.mul(b, op.reduceMean(b, x!, { axes: [0] }), op.reduceL2(b, x!, { axes: [0] })),
      [[3, 4]],
    ],
    ['ReduceLogSumExp', (b, [x]) => b.node('ReduceLogSumExp', [x, b.int64([1])])[0]!, [[3, 4]]],
    ['LayerNormalization', (b, [x, s, t]) => op.layerNormalization(b, x!, s!, t, { epsilon: 0.1 }), [[3, 5], [5], [5]]],
    [
      'GroupNormalization',
      (b, [x, s, t]) => op.groupNormalization(b, x!, s!, t!, { numGroups: 2, epsilon: 0.1 }),
      [[2, 4, 3], [4], [4]],
    ],
    [
      'GridSample',
      (b, [x, grid]) => op.gridSample(b, x!, grid!, { mode: 'cubic', paddingMode: 'border' }),
      [
        [1, 2, 4, 5],
        [1, 2, 3, 2],
      ],
    ],
    [
      'Slice, Pad, Concat',
      (b, [x]) => {
        const padded = op.pad(b, op.mul(b, x!, x!), [1, 0, 1, 0], 'reflect');
        const cut = op.slice(b, op.exp(b, x!), { starts: [2], ends: [-5], axes: [0], steps: [-1] });
        return op.tanh(b, op.concat(b, [padded, cut], 0));
      },
      [[3, 4]],
    ],
  ];

  test.each(smooth)('%s: the gradient of the gradient', async (name, build, dims) => {
    const map = name === 'Pow' ? positive : awayFromZero;
    await checkGradient(
      build,
      dims.map((shape, at) => randomTensor(shape, 11 + at, { map })),
      { order: 2 },
    );
  });

  test('Conv: bilinear, so its gradient is linear in each of its three inputs', async () => {
    const inputs = [
      [2, 2, 5, 4],
      [3, 2, 3, 2],
    ].map((shape, at) => randomTensor(shape, at, { dtype: 'float32' }));
    for (const strides of [
      [1, 1],
      [2, 1],
    ]) {
      const build: Build = (b, [x, w]) => op.conv(b, x!, w!, undefined, { strides, pads: [1, 0, 1, 1] });
      await checkGradient(build, inputs, { order: 2, isLinear: true, fixed: [1] });
      await checkGradient(build, inputs, { order: 2, isLinear: true, fixed: [0] });
    }
  });
});
