/**
 * @file Moving, cutting, gathering and scattering.
 */
import fc from 'fast-check';
import { describe, test } from 'vitest';

import { int64 } from '../../../../models/onnx/dtype.ts';
import { int, text } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import { knowns, RUNS, seeds, shapes } from '../arbitraries.ts';
import type { Build } from '../check-gradient.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

describe('movement', () => {
  const padMode = fc.constantFrom('constant', 'reflect', 'edge');

  test('Slice with any starts, ends and steps', async () => {
    const range = fc.record({
      start: fc.integer({ min: -7, max: 7 }),
      end: fc.integer({ min: -7, max: 7 }),
      step: fc.constantFrom(-3, -2, -1, 1, 2, 3),
    });
    await fc.assert(
      fc.asyncProperty(
        shapes(1, 3, 6),
        fc.array(range, { minLength: 3, maxLength: 3 }),
        seeds,
        async (shape, ranges, seed) => {
          const used = ranges.slice(0, shape.length);
          const build: Build = (b, [x]) =>
            op.slice(b, x!, {
              starts: used.map((r) => r.start),
              ends: used.map((r) => r.end),
              axes: used.map((_, at) => at),
              steps: used.map((r) => r.step),
            });
          await checkGradient(build, [randomTensor(shape, seed)], { seed, isLinear: true });
        },
      ),
      { numRuns: 2 * RUNS },
    );
  });

  test('Slice of an axis whose size is not known', async () => {
    for (const [start, end, step] of [
      [0, 3, 1],
      [-3, -1, 1],
      [4, 0, -2],
    ] as const) {
      const build: Build = (b, [x]) => op.slice(b, x!, { starts: [start], ends: [end], axes: [1], steps: [step] });
      await checkGradient(build, [randomTensor([2, 5, 3], 3)], { known: 'open' });
    }
  });

  test('Pad in every mode, also cropping', async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes(1, 3, 5),
        padMode,
        fc.array(fc.integer({ min: -2, max: 3 }), { minLength: 6, maxLength: 6 }),
        seeds,
        knowns,
        async (shape, mode, amounts, seed, known) => {
          const sizes = shape.map((size) => size + 1);
          // Reflection needs more elements than it mirrors; what is left after cropping must not be empty.
          const pads = [0, 1].flatMap((end) =>
            sizes.map((size, axis) =>
              Math.min(Math.max(amounts[axis + 3 * end]!, mode === 'constant' && size > 4 ? -2 : 0), size - 1),
            ),
          );
          const build: Build = (b, [x]) =>
            op.reduceSum(b, op.mul(b, op.pad(b, x!, pads, mode), op.pad(b, x!, pads, mode)), {
              axes: [0],
            });
          await checkGradient(build, [randomTensor(sizes, seed)], { known, seed });
        },
      ),
      { numRuns: 2 * RUNS },
    );
  });

  test('Transpose, Concat, Split, Tile, Expand, Gather, CumSum, Trilu, Flatten together', async () => {
    const build: Build = (b, [x, y]) => {
      const turned = op.transpose(b, x!, [2, 0, 1]);
      const both = op.concat(b, [turned, op.mul(b, turned, turned), op.transpose(b, y!, [2, 0, 1])], 1);
      const [first, second] = op.split(b, both, [2, 4], 1);
      const tiled = op.tile(b, op.mul(b, first!, first!), [2, 1, 3]);
      const gathered = op.gather(b, second!, b.constant(int64([2, 0, 2, -1], [2, 2])), 1);
      const wide = op.expand(
        b,
        op.unsqueeze(b, op.reduceSum(b, gathered, { axes: [1, 2], keepdims: false }), [0]),
        [2, 4, 3],
      );
      const sums = op.trilu(b, op.cumSum(b, tiled, 2, { exclusive: true, reverse: true }), { k: 1 });
      const flat = b.node('Flatten', [sums], { axis: int(2) })[0]!;
      return op.add(
        b,
        op.reduceSum(b, flat, { keepdims: false }),
        op.reduceSum(b, op.mul(b, wide, wide), { keepdims: false }),
      );
    };
    await checkGradient(build, [randomTensor([2, 3, 4], 1), randomTensor([2, 3, 4], 2)]);
  });

  test.each(['Concat', 'Tile', 'Expand', 'Reshape', 'Gather', 'DepthToSpace'])('%s of open sizes', async (name) => {
    const builds: Readonly<Record<string, Build>> = {
      Concat: (b, [x, y]) => op.concat(b, [op.mul(b, x!, x!), y!, x!], 1),
      Tile: (b, [x]) => op.tile(b, op.mul(b, x!, x!), [1, 2, 3, 1]),
      Expand: (b, [x, y]) => op.expandTo(b, op.reduceSum(b, op.mul(b, x!, x!), { axes: [2] }), op.shape(b, y!)),
      Reshape: (b, [x]) => op.reshapeTo(b, op.mul(b, x!, x!), b.int64([2, -1])),
      Gather: (b, [x]) => op.gather(b, op.mul(b, x!, x!), b.constant(int64([1, 0, 1], [3, 1])), 2),
      DepthToSpace: (b, [x]) =>
        b.node('DepthToSpace', [op.mul(b, x!, x!)], { blocksize: int(2), mode: text('CRD') })[0]!,
    };
    const inputs = [randomTensor([2, 4, 3, 2], 1), randomTensor([2, 4, 3, 2], 2)];
    for (const known of ['static', 'open'] as const) await checkGradient(builds[name]!, inputs, { known });
  });

  test('GatherND with batches, ScatterND, ScatterElements and TopK', async () => {
    const points = int64([0, 1, 1, 2, 1, 1], [2, 3, 1]);
    await checkGradient((b, [x, i]) => op.gatherNd(b, op.mul(b, x!, x!), i!, 1), [randomTensor([2, 3, 4], 1), points], {
      fixed: [1],
    });
    for (const reduction of ['none', 'add'] as const) {
      const rows = int64([2, 0], [2, 1]);
      const scatter: Build = (b, [x, i, u]) => op.scatterNd(b, op.mul(b, x!, x!), i!, op.mul(b, u!, u!), reduction);
      await checkGradient(scatter, [randomTensor([3, 4], 1), rows, randomTensor([2, 4], 2)], { fixed: [1] });
      const elements: Build = (b, [x, i, u]) =>
        op.scatterElements(b, op.mul(b, x!, x!), i!, op.mul(b, u!, u!), { axis: 1, reduction });
      await checkGradient(elements, [randomTensor([2, 5], 1), int64([0, 3, 4, 1], [2, 2]), randomTensor([2, 2], 2)], {
        fixed: [1],
      });
    }
    await checkGradient(
      (b, [x]) => b.node('TopK', [x, b.int64([2])], { axis: int(1) }, 2)[0]!,
      [randomTensor([3, 5], 7)],
    );
    await checkGradient(
      (b, [x]) =>
        op.reduceSum(b, b.node('Compress', [x, op.cast(b, b.int64([1, 0, 1]), 'bool')], { axis: int(1) })[0]!),
      [randomTensor([2, 3], 7)],
    );
  });
});
