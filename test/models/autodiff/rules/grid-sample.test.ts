/**
 * @file Maxima and grids.
 */
import fc from 'fast-check';
import { describe, test } from 'vitest';

import { int, ints } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { knowns, RUNS, seeds, shapes } from '../arbitraries.ts';
import type { Build } from '../check-gradient.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

/** Maxima and cells have many kinks: the same points every time, none of them at one. */
const SEED = 7;

describe('maxima and grids', () => {
  test('MaxPool with overlapping windows and padding', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        seeds,
        knowns,
        async (size, stride, ceil, seed, known) => {
          const pad = size > 1 ? seed % 2 : 0;
          const build: Build = (b, [x]) =>
            b.node('MaxPool', [x], {
              kernel_shape: ints([size, size]),
              strides: ints([stride, stride]),
              pads: ints([pad, pad, 0, pad]),
              ceil_mode: int(ceil ? 1 : 0),
            })[0]!;
          await checkGradient(build, [randomTensor([2, 2, 5, 6], seed)], { known, seed });
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test('GridSample in every mode, by image and grid', async () => {
    const settings = fc.record({
      mode: fc.constantFrom('linear', 'nearest', 'cubic'),
      paddingMode: fc.constantFrom('zeros', 'border', 'reflection'),
      alignCorners: fc.boolean(),
      size: shapes(2, 2, 5),
    });
    await fc.assert(
      fc.asyncProperty(settings, seeds, knowns, async ({ mode, paddingMode, alignCorners, size }, seed, known) => {
        const build: Build = (b, [x, grid]) => {
          const [across, down] = [grid!, op.mul(b, grid!, grid!)].map((part) => op.unsqueeze(b, part, [3]));
          const y = op.gridSample(b, x!, op.concat(b, [across!, down!], 3), {
            mode: mode as 'linear',
            paddingMode: paddingMode as 'zeros',
            alignCorners,
          });
          return op.mul(b, y, y);
        };
        const image = randomTensor([2, 2, ...size.map((s) => s + 1)], seed);
        const grid = randomTensor([2, 3, 4], seed + 1, { map: (v) => 2 * v });
        await checkGradient(build, [image, grid], { known, seed });
      }),
      { numRuns: 3 * RUNS, seed: SEED },
    );
  });

  test('GridSample of volumes, by volume and grid', async () => {
    const settings = fc.record({
      mode: fc.constantFrom('linear', 'nearest'),
      paddingMode: fc.constantFrom('zeros', 'border', 'reflection'),
      alignCorners: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(settings, seeds, knowns, async ({ mode, paddingMode, alignCorners }, seed, known) => {
        const build: Build = (b, [x, grid]) => {
          const parts = [grid!, op.mul(b, grid!, grid!), op.mulScalar(b, grid!, 0.7)];
          const y = op.gridSample(
            b,
            x!,
            op.concat(
              b,
              parts.map((part) => op.unsqueeze(b, part, [4])),
              4,
            ),
            {
              mode: mode as 'linear',
              paddingMode: paddingMode as 'zeros',
              alignCorners,
            },
          );
          return op.mul(b, y, y);
        };
        const volume = randomTensor([2, 2, 3, 4, 5], seed);
        const grid = randomTensor([2, 2, 3, 2], seed + 1, { map: (v) => 2 * v });
        await checkGradient(build, [volume, grid], { known, seed });
      }),
      { numRuns: 2 * RUNS, seed: SEED },
    );
  });
});
