import { describe, expect, test } from 'vitest';

import { warp, type WarpOptions } from '../../../models/nn/warp.ts';
import type { PlaceType } from '../../../models/nn/homography.ts';
import { reachAt, windowOfReach } from '../../../models/nn/warp-window.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import {
  asFloat32,
  augmentCases,
  augmentFixture,
  eachMatrix,
  expectAsStated,
  expectWithin,
  gradientOf,
  inverses,
  squareMatrices,
} from '../../support/augment.ts';
import { tensorOf } from '../../support/fixtures.ts';
import { runGraph } from '../../support/run-graph.ts';

const cases = augmentCases.filter((name) => name.startsWith('affine-') || name.startsWith('perspective-'));

async function run(name: string, { places, window }: { places: PlaceType; window?: number }) {
  const fixture = augmentFixture(name);
  const image = tensorOf(fixture, 'input.image');
  const forward = squareMatrices(tensorOf(fixture, 'input.matrix'));
  const b = new GraphBuilder('warp');
  const x = b.input('x', 'float32', ['N', ...image.shape.slice(1)]);
  const g = b.input('g', 'float32', ['N', ...image.shape.slice(1)]);
  const inputs = {
    forward: b.input('forward', 'float32', ['N', 3, 3]),
    inverse: b.input('inverse', places, ['N', 3, 3]),
  };
  const { output, grid, adjoints } = warp(b, x, inputs, { ...optionsOf(name), ...(window && { window }) });
  b.output('y', output);
  b.output('grid', grid);
  b.output('gradient', gradientOf(b, { value: output, cotangent: g }, { wrt: x, adjoints }));
  const feeds = { x: image, g: tensorOf(fixture, 'cotangent.image'), forward, inverse: inverses(forward, places) };
  return runGraph(b.build(), feeds);
}

function optionsOf(name: string): WarpOptions {
  const [kind, padding] = name.split('-') as ['affine' | 'perspective', string];
  return {
    kind,
    alignCorners: name.endsWith('align1'),
    paddingMode: padding === 'border' || padding === 'reflection' ? padding : 'zeros',
  };
}

describe.each(['float64', 'float32'] as const)('places in %s', (places) => {
  test.each(cases)('agrees with kornia: %s', async (name) => {
    const result = await run(name, { places });
    expect(result['grid']!.dtype).toBe(places);
    expectAsStated(name, 'output.image', result['y']);
    expectAsStated(name, 'output.grid', asFloat32(result['grid']!));
    expectAsStated(name, 'gradient.image', result['gradient']);
  });

  test.each(cases.filter((name) => optionsOf(name).paddingMode === 'zeros'))(
    'agrees with kornia, cotangents gathered: %s',
    async (name) => {
      const result = await run(name, { places, window: windowOf(name) });
      expectAsStated(name, 'output.image', result['y']);
      expectAsStated(name, 'gradient.image', result['gradient']);
    },
  );
});

/** The smallest that loses nothing of a fixture's matrices. */
function windowOf(name: string): number {
  const matrices = eachMatrix(squareMatrices(tensorOf(augmentFixture(name), 'input.matrix')));
  const [, , height, width] = tensorOf(augmentFixture(name), 'input.image').shape as [number, number, number, number];
  const pixels = Array.from({ length: height * width }, (_, at) => [at % width, Math.floor(at / width)] as const);
  return windowOfReach(Math.max(...matrices.map((matrix) => reachAt(matrix, pixels))));
}

/** Of the largest value: one rounding of the result, and one of each of four weights and products on the way back. */
const ROUNDING = { image: 2 ** -24, gradient: 6 * 2 ** -24 };

test.each(cases)('places in float64 leave nothing but the rounding of images: %s', async (name) => {
  const fixture = augmentFixture(name);
  const isGathered = optionsOf(name).paddingMode === 'zeros';
  const result = await run(name, { places: 'float64', ...(isGathered && { window: windowOf(name) }) });
  // Expected values were rounded once, too.
  expectWithin(result['y'], tensorOf(fixture, 'output.image'), 2 * ROUNDING.image, `${name} image`);
  expectWithin(result['gradient'], tensorOf(fixture, 'gradient.image'), ROUNDING.gradient, `${name} gradient`);
});

test('a flag of 0 leaves the image and its cotangent exactly as they are', async () => {
  const b = new GraphBuilder('warp');
  const x = b.input('x', 'float32', ['N', 1, 3, 3]);
  const matrix = b.input('matrix', 'float32', ['N', 3, 3]);
  const flag = b.input('flag', 'float32', ['N']);
  const { output, adjoints } = warp(
    b,
    x,
    { forward: matrix, inverse: matrix, flag },
    { kind: 'perspective', window: 3 },
  );
  b.output('y', output);
  b.output('gradient', gradientOf(b, { value: output, cotangent: x }, { wrt: x, adjoints }));
  const image = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
  const halfTurn = [-1, 0, 2, 0, -1, 2, 0, 0, 1];
  const result = await runGraph(b.build(), {
    x: float32([...image, ...image], [2, 1, 3, 3]),
    matrix: float32([...halfTurn, ...halfTurn], [2, 3, 3]),
    flag: float32([0, 1]),
  });
  const expected = Array.from(float32([...image, ...image.toReversed()]).data, Number);
  expect(Array.from(result['y']!.data, Number)).toEqual(expected);
  expect(Array.from(result['gradient']!.data, Number)).toEqual(expected);
});

test('the gathering adjoint is refused where what is outside is not zero', () => {
  const b = new GraphBuilder('warp');
  const x = b.input('x', 'float32', ['N', 1, 3, 3]);
  const matrix = b.input('matrix', 'float32', ['N', 3, 3]);
  const options = { kind: 'affine', paddingMode: 'border', window: 3 } as const;
  expect(() => warp(b, x, { forward: matrix, inverse: matrix }, options)).toThrow(
    'warp of x: the gathering adjoint pads with zeros, not border',
  );
});
