import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { affineMatrix, imageCorners, invert, perspectiveMatrix } from '../../inversion/warp.ts';
import { Reference, relativeError } from './support/tensors.ts';

const trajectory = new Reference('trajectory/reference-trajectory-0.safetensors');

/** Stored matrices are float32 numbers computed in float64 from float32 parameters. */
const RTOL_FLOAT32 = 2 ** -23;

function apply(m: ArrayLike<number>, x: number, y: number): [number, number] {
  const w = m[6]! * x + m[7]! * y + m[8]!;
  return [(m[0]! * x + m[1]! * y + m[2]!) / w, (m[3]! * x + m[4]! * y + m[5]!) / w];
}

test('affine matrices of the recorded search come out of their angle, shift, scale and centre', () => {
  const [angle, shift, scale] = ['affine_angle', 'affine_translation', 'affine_scale'].map((name) =>
    trajectory.floats(`input.${name}`),
  ) as [Float32Array, Float32Array, Float32Array];
  const flags = trajectory.floats('input.affine_flag');
  let applied = 0;
  for (let i = 0; i < 60; i++) {
    const stored = trajectory.floats('input.affine_matrix').slice(i * 6, i * 6 + 6);
    if (flags[i] === 0) continue;
    applied++;
    const made = affineMatrix({
      degrees: angle[i]!,
      translation: [shift[2 * i]!, shift[2 * i + 1]!],
      scale: [scale[2 * i]!, scale[2 * i + 1]!],
      center: [13.5, 13.5],
    });
    expect(relativeError(made.slice(0, 6), stored)).toBeLessThan(RTOL_FLOAT32);
  }
  expect(applied).toBeGreaterThan(30);
});

test('perspective matrices of the recorded search come out of their corners', () => {
  const [start, end] = [trajectory.floats('input.perspective_start'), trajectory.floats('input.perspective_end')];
  const flags = trajectory.floats('input.perspective_flag');
  let applied = 0;
  for (let i = 0; i < 60; i++) {
    if (flags[i] === 0) continue;
    applied++;
    const made = perspectiveMatrix(start.slice(i * 8, i * 8 + 8), end.slice(i * 8, i * 8 + 8));
    const stored = trajectory.floats('input.perspective_matrix').slice(i * 9, i * 9 + 9);
    expect(relativeError(made, stored)).toBeLessThan(RTOL_FLOAT32);
  }
  expect(applied).toBeGreaterThan(10);
});

describe.each(['affine-zeros-align0', 'perspective-mild', 'perspective-strong'])('%s', (name) => {
  const reference = new Reference(`augment/${name}.safetensors`);

  test('the inverse of the matrix samples where the reference does', () => {
    const [n, height, width] = reference.get('output.grid').shape as [number, number, number];
    const matrices = reference.get('input.matrix');
    const size = matrices.shape[1]! * matrices.shape[2]!;
    for (let i = 0; i < n; i++) {
      const matrix = [...reference.row('input.matrix', i), 0, 0, 1].slice(0, 9);
      expect(size === 6 || size === 9).toBe(true);
      const inverse = invert(matrix);
      const grid = reference.row('output.grid', i);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const [u, v] = apply(inverse, x, y);
          const at = (y * width + x) * 2;
          const [expectedU, expectedV] = [grid[at]!, grid[at + 1]!];
          const made = [(2 * u + 1) / width - 1, (2 * v + 1) / height - 1] as const;
          expect(Math.abs(made[0] - expectedU)).toBeLessThan(1e-6 * Math.max(1, Math.abs(expectedU)));
          expect(Math.abs(made[1] - expectedV)).toBeLessThan(1e-6 * Math.max(1, Math.abs(expectedV)));
        }
      }
    }
  });
});

test('a positive angle turns the picture clockwise about its centre', () => {
  const quarter = affineMatrix({ degrees: 90, translation: [0, 0], center: [5, 5] });
  expect(apply(quarter, 10, 5).map((v) => Math.round(v))).toEqual([5, 10]);
  expect(apply(quarter, 5, 5).map((v) => Math.round(v))).toEqual([5, 5]);
});

test('a perspective takes its four points to the four others, whichever they are', () => {
  const offset = fc.double({ min: -0.3, max: 0.3, noNaN: true });
  fc.assert(
    fc.property(fc.array(offset, { minLength: 8, maxLength: 8 }), fc.integer({ min: 8, max: 224 }), (offsets, size) => {
      const from = imageCorners(size, size);
      const to = from.map((place, i) => place + offsets[i]! * size);
      const matrix = perspectiveMatrix(from, to);
      const back = invert(matrix);
      for (let corner = 0; corner < 4; corner++) {
        const [x, y] = [from[2 * corner]!, from[2 * corner + 1]!];
        const [u, v] = [to[2 * corner]!, to[2 * corner + 1]!];
        expect(apply(matrix, x, y)[0]).toBeCloseTo(u, 8);
        expect(apply(matrix, x, y)[1]).toBeCloseTo(v, 8);
        expect(apply(back, u, v)[0]).toBeCloseTo(x, 8);
        expect(apply(back, u, v)[1]).toBeCloseTo(y, 8);
      }
    }),
  );
});
