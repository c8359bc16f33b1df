import { describe, expect, test } from 'vitest';

import { warpExtremes } from '../../../inversion/augment.ts';
import { resolveOptions, SD15_DEFAULTS } from '../../../inversion/options.ts';
import { affineMatrix, imageCorners, invert, perspectiveMatrix } from '../../../inversion/warp.ts';
import type { PlaceType } from '../../../models/nn/homography.ts';
import { warp } from '../../../models/nn/warp.ts';
import { windowFor } from '../../../models/nn/warp-window.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { elementCount, float32 } from '../../../models/onnx/dtype.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { eachMatrix, expectWithin, gradientOf, inverses, largestShare, pseudorandom } from '../../support/augment.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';

type Kind = 'affine' | 'perspective';

/** Rounding of places: a few units in the last place of a coordinate of up to 64 pixels, in each of the four weights. */
const TOLERANCE = { float32: 1e-4, float64: 5e-7 };

const DEGREES = SD15_DEFAULTS.affineDegrees;
const SHIFT = SD15_DEFAULTS.affineTranslation;
const DISTORTION = SD15_DEFAULTS.perspectiveDistortion;

/** The ends of the ranges of the published settings and draws from within them. */
function matricesOf(kind: Kind, size: number): Tensor {
  const extremes = warpExtremes(resolveOptions(SD15_DEFAULTS), size)[kind];
  const draws = toNumbers(pseudorandom([64, 8], size));
  const drawn = Array.from({ length: 64 }, (_, i) => {
    const own = draws.slice(8 * i, 8 * i + 8);
    if (kind === 'perspective') return inward(own, size);
    const center = [(size - 1) / 2, (size - 1) / 2] as const;
    const translation = [own[1]! * SHIFT * size, own[2]! * SHIFT * size] as const;
    return affineMatrix({ degrees: own[0]! * DEGREES, translation, center });
  });
  const all = [...extremes, ...drawn].map((matrix) => [...matrix]);
  return float32(all.flat(), [all.length, 3, 3]);
}

function inward(draws: readonly number[], size: number): Float64Array {
  const start = imageCorners(size, size);
  const inwards = [1, 1, -1, 1, -1, -1, 1, -1];
  const end = start.map((place, i) => place + (inwards[i]! * ((draws[i]! + 1) / 2) * DISTORTION * size) / 2);
  return perspectiveMatrix(start, end);
}

/**
 * Of one-channel images: the sum of the forward warp's weights per destination pixel, the sum of the gathered ones (the
 * gather's own adjoint, applied to ones), and the gathered cotangent.
 */
async function gathered(kind: Kind, matrices: Tensor, options: Gathered) {
  const { size, window, g, places } = options;
  const shape = ['N', 1, size, size];
  const b = new GraphBuilder('warp');
  const ones = b.input('ones', 'float32', shape);
  const cotangent = b.input('g', 'float32', shape);
  const inputs = {
    forward: b.input('forward', 'float32', ['N', 3, 3]),
    inverse: b.input('inverse', places, ['N', 3, 3]),
  };
  const { output, adjoints } = warp(b, ones, inputs, { kind, window });
  const back = gradientOf(b, { value: output, cotangent }, { wrt: ones, adjoints });
  b.output('forwardWeights', output);
  b.output('gradient', back);
  b.output('gatheredWeights', gradientOf(b, { value: back, cotangent: ones }, { wrt: cotangent }));
  const all = float32(new Float32Array(elementCount(g.shape)).fill(1), g.shape);
  return runGraph(b.build(), { ones: all, g, forward: matrices, inverse: inverses(matrices, places) });
}

interface Gathered {
  readonly size: number;
  readonly window: number;
  readonly g: Tensor;
  readonly places: PlaceType;
}

/** The adjoint by its definition, in float64: every destination adds its cotangent to the four pixels that it took. */
function scattered(matrices: Tensor, size: number, g: Tensor): Tensor {
  const cotangent = toNumbers(g);
  const sum = new Float64Array(cotangent.length);
  eachMatrix(matrices).forEach((matrix, n) => {
    const m = invert(matrix);
    const image = sum.subarray(n * size * size, (n + 1) * size * size);
    for (let q = 0; q < size * size; q += 1) {
      const [x, y] = [q % size, Math.floor(q / size)];
      const w = m[6]! * x + m[7]! * y + m[8]!;
      const u = (m[0]! * x + m[1]! * y + m[2]!) / w;
      const v = (m[3]! * x + m[4]! * y + m[5]!) / w;
      for (const px of [Math.floor(u), Math.floor(u) + 1]) {
        for (const py of [Math.floor(v), Math.floor(v) + 1]) {
          if (px < 0 || py < 0 || px >= size || py >= size) continue;
          const weight = Math.max(0, 1 - Math.abs(u - px)) * Math.max(0, 1 - Math.abs(v - py));
          image[py * size + px]! += weight * cotangent[n * size * size + q]!;
        }
      }
    }
  });
  return float32(sum, g.shape);
}

describe.each([
  ['affine', 'float64'],
  ['affine', 'float32'],
  ['perspective', 'float64'],
  ['perspective', 'float32'],
] as const)('%s, places in %s', (kind, places) => {
  test.each([28, 64])('no weight is lost over the ranges of the method, %i pixels', async (size) => {
    const matrices = matricesOf(kind, size);
    const window = windowFor({ maxDegrees: DEGREES, maxDistortion: DISTORTION }, size)[kind];
    expect(window).toBe(3);
    const g = pseudorandom([matrices.shape[0]!, 1, size, size], 7);
    const result = await gathered(kind, matrices, { size, window, g, places });
    // The same weights in another order of additions.
    expectWithin(result['gatheredWeights'], result['forwardWeights']!, 2e-6, 'weights per destination');
    expectWithin(result['gradient'], scattered(matrices, size, g), TOLERANCE[places], 'gradient');
  });

  test('a smaller window loses some', async () => {
    const matrices = matricesOf(kind, 28);
    const g = pseudorandom([matrices.shape[0]!, 1, 28, 28], 7);
    const result = await gathered(kind, matrices, { size: 28, window: 2, g, places });
    expect(largestShare(result['gatheredWeights']!, result['forwardWeights']!)).toBeGreaterThan(0.05);
  });
});

test.each([
  ['float64', 5e-7],
  // GridSample's rule rounds the places in an order of its own: a few units in the last place of 20 pixels.
  ['float32', 2e-5],
] as const)('scattered and gathered cotangents have the same numbers, places in %s', async (places, share) => {
  const size = 20;
  const matrices = matricesOf('perspective', size);
  const g = pseudorandom([matrices.shape[0]!, 1, size, size], 3);
  const shape = ['N', 1, size, size];
  const { perspective: window } = windowFor({ maxDegrees: 0, maxDistortion: DISTORTION }, size);
  const b = new GraphBuilder('both');
  const x = b.input('x', 'float32', shape);
  const inputs = {
    forward: b.input('forward', 'float32', ['N', 3, 3]),
    inverse: b.input('inverse', places, ['N', 3, 3]),
  };
  const { output, adjoints } = warp(b, x, inputs, { kind: 'perspective', window });
  b.output('gather', gradientOf(b, { value: output, cotangent: x }, { wrt: x, adjoints }));
  b.output('scatter', gradientOf(b, { value: output, cotangent: x }, { wrt: x }));
  const result = await runGraph(b.build(), { x: g, forward: matrices, inverse: inverses(matrices, places) });
  expectWithin(result['gather'], result['scatter']!, share, 'gradient');
});
