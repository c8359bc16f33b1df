/**
 * @file Convolutions, pooling, resizing.
 */
import fc from 'fast-check';
import { describe, test } from 'vitest';

import type { GraphBuilder } from '../../../../models/onnx/builder.ts';
import type { Tensor } from '../../../../models/onnx/dtype.ts';
import { text } from '../../../../models/onnx/graph.ts';
import type { Value } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { RUNS, seeds, shapes } from '../arbitraries.ts';
import type { Build } from '../check-gradient.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

describe('convolutions, pooling and resizing: linear, so that <J v, c> = <v, J^T c> for any v', () => {
  const axis = fc.record({
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    begin: fc.nat(2),
    end: fc.nat(2),
    length: fc.integer({ min: 5, max: 8 }),
  });
  const windows = fc.array(axis, { minLength: 1, maxLength: 2 });
  const convolutions = fc.record({
    axes: windows,
    n: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 2 }),
    c: fc.integer({ min: 1, max: 2 }),
    m: fc.integer({ min: 1, max: 2 }),
  });
  const float32 = (shape: readonly number[], seed: number): Tensor => randomTensor(shape, seed, { dtype: 'float32' });

  test('Conv and ConvTranspose with any strides, dilations, pads and groups, by input and by kernel', async () => {
    await fc.assert(
      fc.asyncProperty(convolutions, fc.boolean(), seeds, async ({ axes, n, group, c, m }, isTransposed, seed) => {
        const kernel = axes.map((a) => a.kernel);
        const x = float32([n, group * c, ...axes.map((a) => a.length)], seed);
        const w = float32([isTransposed ? group * c : group * m, isTransposed ? m : c, ...kernel], seed + 1);
        const bias = float32([group * m], seed + 2);
        const options = {
          strides: axes.map((a) => a.stride),
          dilations: axes.map((a) => a.dilation),
          pads: [...axes.map((a) => a.begin), ...axes.map((a) => a.end)],
          group,
        };
        const outputPadding = axes.map((a) => a.stride - 1);
        const build: Build = (b, [v, k, t]) =>
          isTransposed ? op.convTranspose(b, v!, k!, t, { ...options, outputPadding }) : op.conv(b, v!, k!, t, options);
        await checkGradient(build, [x, w, bias], { seed, isLinear: true, fixed: [1] });
        await checkGradient(build, [x, w, bias], { seed, isLinear: true, fixed: [0] });
      }),
      { numRuns: 2 * RUNS },
    );
  });

  test('AveragePool with and without padding, rounding up or not', async () => {
    await fc.assert(
      fc.asyncProperty(windows, fc.boolean(), fc.boolean(), seeds, async (axes, countIncludePad, ceilMode, seed) => {
        const pads = [
          ...axes.map((a) => Math.min(a.begin, a.kernel - 1)),
          ...axes.map((a) => Math.min(a.end, a.kernel - 1)),
        ];
        const options = {
          kernelShape: axes.map((a) => a.kernel),
          strides: axes.map((a) => a.stride),
          pads,
          countIncludePad,
          ceilMode,
        };
        const build: Build = (b, [x]) => op.averagePool(b, x!, options);
        await checkGradient(build, [float32([2, 2, ...axes.map((a) => a.length)], seed)], { seed, isLinear: true });
      }),
      { numRuns: 2 * RUNS },
    );
  });

  test('Resize in every mode', async () => {
    const settings = fc.record({
      mode: fc.constantFrom('nearest', 'linear', 'cubic'),
      coordinates: fc.constantFrom('half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel'),
      nearest: fc.constantFrom('floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil'),
      from: shapes(2, 2, 6),
      to: shapes(2, 2, 9),
      antialias: fc.boolean(),
      excludeOutside: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        settings,
        seeds,
        async ({ mode, coordinates, nearest, from, to, antialias, excludeOutside }, seed) => {
          const build: Build = (b, [x]) =>
            op.resize(b, x!, [1, 2, ...to], {
              mode: mode as 'nearest',
              coordinateTransformationMode: coordinates as 'half_pixel',
              nearestMode: nearest as 'floor',
              antialias: antialias && mode !== 'nearest',
              excludeOutside: excludeOutside && mode === 'cubic',
            });
          await checkGradient(build, [float32([1, 2, ...from], seed)], { seed, isLinear: true });
        },
      ),
      { numRuns: 2 * RUNS },
    );
  });

  test('of open sizes', async () => {
    const kernel = float32([3, 2, 3, 2], 9);
    const fixedKernel = (b: GraphBuilder): Value => b.constant(kernel);
    const builds: readonly Build[] = [
      (b, [x]) => op.conv(b, x!, fixedKernel(b), undefined, { pads: [1, 0, 1, 1] }),
      (b, [x]) => op.conv(b, x!, fixedKernel(b), undefined, { strides: [2, 3], pads: [1, 0, 0, 1] }),
      (b, [x]) => op.averagePool(b, x!, { kernelShape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] }),
      (b, [x]) => op.averagePool(b, x!, { kernelShape: [2, 2], strides: [2, 2] }),
      (b, [x]) => op.globalAveragePool(b, x!),
      (b, [x]) =>
        b.node(
          'Resize',
          [x, undefined, b.constant({ dtype: 'float32', shape: [4], data: Float32Array.of(1, 1, 2, 2) })],
          { mode: text('nearest') },
        )[0]!,
      (b, [x]) =>
        b.node(
          'Resize',
          [x, undefined, b.constant({ dtype: 'float32', shape: [4], data: Float32Array.of(1, 1, 1.5, 0.7) })],
          { mode: text('linear') },
        )[0]!,
    ];
    for (const build of builds)
      await checkGradient(build, [float32([2, 2, 7, 6], 3)], { known: 'open', isLinear: true });
  });
});
