import { expect, test } from 'vitest';

import { colourJitter } from '../../../models/nn/colour-jitter.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import {
  asFloat32,
  augmentCases,
  augmentFixture,
  expectAsStated,
  gradientOf,
  pseudorandom,
  rowsOf,
} from '../../support/augment.ts';
import { tensorOf } from '../../support/fixtures.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';

interface Feeds {
  readonly image: Tensor;
  readonly g: Tensor;
  readonly factors: Tensor;
  /** One order per lane. */
  readonly orders: readonly (readonly number[])[];
  readonly flags?: readonly number[];
}

async function jitter({ image, g, factors, orders, flags }: Feeds) {
  const [cutouts, , height, width] = image.shape as [number, number, number, number];
  const b = new GraphBuilder('jitter');
  const n = cutouts / orders.length;
  const all = n === 1 ? 'B' : `${n}*B`;
  const x = b.input('x', 'float32', [all, 3, height, width]);
  const cotangent = b.input('g', 'float32', [all, 3, height, width]);
  const { output, adjoints } = colourJitter(b, x, {
    factors: b.input('factors', 'float32', [all, 4]),
    order: b.input('order', 'int32', ['B', 4]),
    flag: b.input('flag', 'float32', [all]),
  });
  b.output('y', output);
  b.output('gradient', gradientOf(b, { value: output, cotangent }, { wrt: x, adjoints }));
  return runGraph(b.build(), {
    x: image,
    g,
    factors,
    order: { dtype: 'int32', shape: [orders.length, 4], data: Int32Array.from(orders.flat()) },
    flag: float32(flags ?? new Array<number>(cutouts).fill(1)),
  });
}

const orders = augmentCases.filter((name) => name.startsWith('jitter-order'));

test('every order is tried', () => {
  expect(orders).toHaveLength(24);
});

test.each(orders)('agrees with kornia: %s', async (name) => {
  const fixture = augmentFixture(name);
  const result = await jitter({
    image: tensorOf(fixture, 'input.image'),
    g: tensorOf(fixture, 'cotangent.image'),
    factors: tensorOf(fixture, 'input.factors'),
    orders: [toNumbers(tensorOf(fixture, 'input.order'))],
  });
  expectAsStated(name, 'output.image', result['y']);
  expectAsStated(name, 'gradient.image', result['gradient']);
});

test.each(['brightness', 'contrast', 'saturation'])('%s alone agrees with kornia', async (operation) => {
  const name = `jitter-${operation}`;
  const fixture = augmentFixture(name);
  const at = ['brightness', 'contrast', 'saturation'].indexOf(operation);
  const factors = toNumbers(tensorOf(fixture, 'input.factor')).flatMap((factor) =>
    [1, 1, 1, 0].map((neutral, i) => (i === at ? factor : neutral)),
  );
  const result = await jitter({
    image: tensorOf(fixture, 'input.image'),
    g: tensorOf(fixture, 'cotangent.image'),
    factors: float32(factors, [factors.length / 4, 4]),
    // Last of all: the hue, which does nothing here but round.
    orders: [[0, 1, 2, 3]],
  });
  expectWithinRounding(name, 'output.image', result['y']!);
  expectWithinRounding(name, 'gradient.image', result['gradient']!);
});

/** The hue's rounding, as stated for the hue alone, on top of the operation's own. */
function expectWithinRounding(name: string, tensor: string, actual: Tensor): void {
  const expected = toNumbers(tensorOf(augmentFixture(name), tensor));
  const largest = Math.max(...expected.map(Math.abs));
  const error = Math.max(...toNumbers(actual).map((value, at) => Math.abs(value - expected[at]!)));
  expect(error).toBeLessThan(10 * 5.7e-7 * largest);
}

test('lanes have their own order, and the bytes that they have alone', async () => {
  const cutouts = 6;
  const image = float32(
    toNumbers(pseudorandom([cutouts, 3, 7, 9], 1)).map((value) => 0.5 + 0.6 * value),
    [cutouts, 3, 7, 9],
  );
  const g = pseudorandom([cutouts, 3, 7, 9], 2);
  const factors = float32(
    toNumbers(pseudorandom([cutouts, 4], 3)).map((value, at) => (at % 4 === 3 ? 0 : 1) + 0.1 * value),
    [cutouts, 4],
  );
  const perLane = [
    [3, 1, 0, 2],
    [1, 3, 2, 0],
    [0, 2, 1, 3],
  ];
  const flags = [1, 0, 1, 1, 1, 1];
  const together = await jitter({ image, g, factors, orders: perLane, flags });
  for (const [lane, order] of perLane.entries()) {
    const own = (tensor: Tensor): Tensor => rowsOf(tensor, 2 * lane, 2 * lane + 2);
    const alone = await jitter({
      image: own(image),
      g: own(g),
      factors: own(factors),
      orders: [order],
      flags: flags.slice(2 * lane, 2 * lane + 2),
    });
    expect(alone['y']).toEqual(own(together['y']!));
    expect(alone['gradient']).toEqual(own(together['gradient']!));
  }
  // The second cutout has the flag 0: exactly as it was, not even clamped.
  expect(rowsOf(together['y']!, 1, 2)).toEqual(rowsOf(image, 1, 2));
  expect(rowsOf(together['gradient']!, 1, 2)).toEqual(rowsOf(g, 1, 2));
});

test('the gradient stays finite on black, grey and white', async () => {
  const image = float32([0, 0.5, 1, 0, 0.5, 1, 0, 0.5, 1], [1, 3, 1, 3]);
  for (const order of [
    [0, 1, 2, 3],
    [3, 2, 1, 0],
  ]) {
    const factors = float32([1.1, 0.9, 1.1, -0.1], [1, 4]);
    const result = await jitter({ image, g: pseudorandom([1, 3, 1, 3], 4), factors, orders: [order] });
    expect(toNumbers(asFloat32(result['gradient']!)).every(Number.isFinite)).toBe(true);
  }
});
