import { expect, test } from 'vitest';

import { convolution } from '../../../models/nn/convolution.ts';
import type { ConvolutionOptions } from '../../../models/nn/convolution.ts';
import { Scope } from '../../../models/nn/scope.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';
import { weightsOf } from '../../support/weights.ts';

const FLOAT32 = { rtol: 1e-6, atol: 1e-6 };

interface Geometry {
  readonly stride: number;
  /** top, left, bottom, right */
  readonly padding: readonly [number, number, number, number];
}

/** Straight from the definition, in float64. */
function reference(x: Tensor, weight: Tensor, { stride, padding }: Geometry, bias?: Tensor): Tensor {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const [out, , kernel] = weight.shape as [number, number, number, number];
  const [top, left, bottom, right] = padding;
  const rows = Math.floor((height + top + bottom - kernel) / stride) + 1;
  const columns = Math.floor((width + left + right - kernel) / stride) + 1;
  const y: number[] = [];
  for (let n = 0; n < batch; n += 1)
    for (let o = 0; o < out; o += 1)
      for (let r = 0; r < rows; r += 1)
        for (let c = 0; c < columns; c += 1) {
          let sum = Number(bias?.data[o] ?? 0);
          for (let i = 0; i < channels; i += 1)
            for (let p = 0; p < kernel; p += 1)
              for (let q = 0; q < kernel; q += 1) {
                const [row, column] = [r * stride + p - top, c * stride + q - left];
                if (row < 0 || column < 0 || row >= height || column >= width) continue;
                const pixel = Number(x.data[((n * channels + i) * height + row) * width + column]!);
                sum += pixel * Number(weight.data[((o * channels + i) * kernel + p) * kernel + q]!);
              }
          y.push(sum);
        }
  return float32(y, [batch, out, rows, columns]);
}

const CASES: readonly [string, Omit<ConvolutionOptions, 'channels'>, Geometry][] = [
  ['keeps the size by default', { kernel: 3 }, { stride: 1, padding: [1, 1, 1, 1] }],
  ['1x1', { kernel: 1 }, { stride: 1, padding: [0, 0, 0, 0] }],
  ['stride 2, padded on all sides', { kernel: 3, stride: 2, padding: 1 }, { stride: 2, padding: [1, 1, 1, 1] }],
  [
    'stride 2, padded right and below only',
    { kernel: 3, stride: 2, padding: [0, 0, 1, 1] },
    { stride: 2, padding: [0, 0, 1, 1] },
  ],
];

test.each(CASES)('%s', async (_, options, geometry) => {
  const weights = { weight: noise([4, 3, options.kernel, options.kernel], 2), bias: noise([4], 3) };
  const source = await weightsOf(weights);
  const x = noise([2, 3, 6, 8]);
  const y = await evaluate({ x }, (b, values) =>
    convolution(b, new Scope(source), values['x']!, { channels: 4, ...options }),
  );
  expectClose(y, reference(x, weights.weight, geometry, weights.bias), FLOAT32);
});

test('a kernel for other channels is an error that names the tensor and both shapes', async () => {
  const source = await weightsOf({ 'conv.weight': noise([4, 3, 3, 3]) });
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', ['B', 5, 8, 8]);
  expect(() => convolution(b, new Scope(source).child('conv'), x, { channels: 4, kernel: 3 })).toThrow(
    'tensor "conv.weight" has shape [4,3,3,3], expected [4,5,3,3]',
  );
});
