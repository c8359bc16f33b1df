import { expect, test } from 'vitest';

import { rotateHue } from '../../../models/nn/hue.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import * as op from '../../../models/onnx/ops.ts';
import {
  asFloat32,
  augmentFixture,
  expectAsStated,
  expectWithin,
  gradientOf,
  pseudorandom,
} from '../../support/augment.ts';
import { tensorOf } from '../../support/fixtures.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';

/** Images [N, 3, P], turns [N]; `own`: with the closed form of the adjoint. */
async function rotate(image: Tensor, turns: Tensor, { g, own = true }: { g: Tensor; own?: boolean }) {
  const b = new GraphBuilder('hue');
  const [n, , pixels] = image.shape as [number, number, number];
  const x = b.input('x', 'float32', ['N', 3, pixels]);
  const cotangent = b.input('g', 'float32', ['N', 3, pixels]);
  const angle = b.input('turns', 'float32', ['N', 1, 1]);
  const isOn = op.greater(b, angle, b.scalar(-9));
  const { output, adjoints } = rotateHue(b, x, { turns: angle, isOn });
  b.output('y', output);
  b.output('gradient', gradientOf(b, { value: output, cotangent }, { wrt: x, adjoints: own ? adjoints : [] }));
  return runGraph(b.build(), { x: image, g, turns: asFloat32(turns, [n, 1, 1]) });
}

test.each([true, false])('agrees with kornia; adjoint in closed form: %s', async (own) => {
  const fixture = augmentFixture('jitter-hue');
  const image = tensorOf(fixture, 'input.image');
  const [n, , height, width] = image.shape as [number, number, number, number];
  const flat = (tensor: Tensor): Tensor => asFloat32(tensor, [n, 3, height * width]);
  const g = flat(tensorOf(fixture, 'cotangent.image'));
  const result = await rotate(flat(image), tensorOf(fixture, 'input.factor'), { g, own });
  expectAsStated('jitter-hue', 'output.image', asFloat32(result['y']!, image.shape));
  expectAsStated('jitter-hue', 'gradient.image', asFloat32(result['gradient']!, image.shape));
});

test('the closed form is the derivative of the steps, for every sector and shift', async () => {
  const image = float32(
    toNumbers(pseudorandom([7, 3, 4000], 5)).map((value) => (value + 1) / 2),
    [7, 3, 4000],
  );
  const turns = float32([-0.5, -0.31, -0.02, 0, 0.1, 0.25, 0.5]);
  const g = pseudorandom([7, 3, 4000], 6);
  const own = await rotate(image, turns, { g });
  const steps = await rotate(image, turns, { g, own: false });
  expectWithin(own['y'], steps['y']!, 0, 'output');
  // The steps divide by differences of channels as small as 1e-4 and multiply by them again.
  expectWithin(own['gradient'], steps['gradient']!, 1e-4, 'gradient');
});

test('a third of a turn exchanges the channels', async () => {
  const image = float32([0.9, 0.2, 0.5, 0.2, 0.6, 0.1, 0.4, 0.3, 0.8], [1, 3, 3]);
  const result = await rotate(image, float32([1 / 3]), { g: image });
  const expected = float32([0.4, 0.3, 0.8, 0.9, 0.2, 0.5, 0.2, 0.6, 0.1], [1, 3, 3]);
  expectWithin(result['y'], expected, 1e-6, 'channels');
});

test('where channels are equal the gradient is finite and its sum over the channels is the cotangent sum', async () => {
  // Black, grey, white, and two equal channels in all three ways, highest and lowest.
  const red = [0, 0.5, 1, 0.7, 0.7, 0.2, 0.2, 0.2, 0.7];
  const green = [0, 0.5, 1, 0.7, 0.2, 0.7, 0.2, 0.7, 0.2];
  const blue = [0, 0.5, 1, 0.2, 0.7, 0.7, 0.7, 0.2, 0.2];
  const image = float32([...red, ...green, ...blue], [1, 3, 9]);
  const g = pseudorandom([1, 3, 9], 8);
  const result = await rotate(image, float32([0.07]), { g });
  const gradient = toNumbers(result['gradient']!);
  const cotangent = toNumbers(g);
  for (let pixel = 0; pixel < 9; pixel += 1) {
    const over = (values: number[]): number => values[pixel]! + values[9 + pixel]! + values[18 + pixel]!;
    expect(over(gradient)).toBeCloseTo(over(cotangent), 5);
  }
});
