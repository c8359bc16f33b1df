import { describe, expect, test } from 'vitest';

import { vjp } from '../../../models/autodiff/differentiate.ts';
import { foldUpsampling } from '../../../models/nn/fold-upsampling.ts';
import { nearest } from '../../../models/nn/resize.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { optimise } from '../../../models/onnx/passes/optimise.ts';
import { expectClose } from '../../support/close.ts';
import { noise } from '../../support/evaluate.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';

/** Sums of up to 75 products of numbers below 1, in another order. */
const ROUNDING = { rtol: 0, atol: 5e-6 };

interface Case {
  /** [C, h, w] of the small image. */
  readonly image: readonly [number, number, number];
  /** [M, C / group, k, l] */
  readonly kernel: readonly [number, number, number, number];
  readonly hasBias: boolean;
  readonly group?: number;
}

const CASES: readonly Case[] = [
  { image: [3, 4, 5], kernel: [2, 3, 3, 3], hasBias: true },
  { image: [4, 1, 3], kernel: [4, 4, 3, 3], hasBias: false },
  { image: [2, 3, 2], kernel: [3, 2, 5, 5], hasBias: true },
  { image: [2, 3, 4], kernel: [1, 2, 3, 1], hasBias: false },
  { image: [2, 4, 3], kernel: [2, 2, 7, 3], hasBias: true },
  { image: [4, 3, 3], kernel: [6, 2, 3, 3], hasBias: true, group: 2 },
];

/** Convolution of the enlarged image, and its adjoint. */
function graphOf({ image, kernel, hasBias, group = 1 }: Case): Graph {
  const b = new GraphBuilder('upsampler');
  const x = b.input('x', 'float32', ['B', ...image]);
  const larger = nearest(b, x, { height: 2 * image[1], width: 2 * image[2] });
  const [m, , k, l] = kernel;
  const pads = [(k - 1) / 2, (l - 1) / 2, (k - 1) / 2, (l - 1) / 2];
  const bias = hasBias ? b.constant(noise([m], 5)) : undefined;
  const y = op.conv(b, larger, b.constant(noise(kernel, 2)), bias, { pads, group });
  const g = b.input('g', 'float32', y.shape);
  b.output('y', y);
  b.output('gradient', vjp(b, [{ value: y, cotangent: g }], [x])[0]!);
  return b.build();
}

/** In float64 and by the definition: every output pixel sums over the kernel's taps of the enlarged image. */
function reference({ image, kernel, hasBias, group = 1 }: Case, x: Tensor): number[] {
  const [channels, h, w] = image;
  const [m, own, k, l] = kernel;
  const [values, weights] = [toNumbers(x), toNumbers(noise(kernel, 2))];
  const bias = hasBias ? toNumbers(noise([m], 5)) : Array<number>(m).fill(0);
  const pixel = (n: number, c: number, i: number, j: number): number =>
    i < 0 || j < 0 || i >= 2 * h || j >= 2 * w
      ? 0
      : values[((n * channels + c) * h + Math.floor(i / 2)) * w + Math.floor(j / 2)]!;
  const out: number[] = [];
  for (let n = 0; n < x.shape[0]!; n += 1)
    for (let o = 0; o < m; o += 1)
      for (let i = 0; i < 2 * h; i += 1)
        for (let j = 0; j < 2 * w; j += 1) {
          let sum = bias[o]!;
          const first = Math.floor(o / (m / group)) * own;
          for (let c = 0; c < own; c += 1)
            for (let s = 0; s < k; s += 1)
              for (let t = 0; t < l; t += 1)
                sum +=
                  weights[((o * own + c) * k + s) * l + t]! *
                  pixel(n, first + c, i + s - (k - 1) / 2, j + t - (l - 1) / 2);
          out.push(sum);
        }
  return out;
}

const count = (graph: Graph, operator: string): number => graph.nodes.filter((node) => node.op === operator).length;
const dot = (x: Tensor, y: Tensor): number => toNumbers(x).reduce((sum, v, at) => sum + v * Number(y.data[at]), 0);

describe.each(CASES)('kernel $kernel on $image, bias $hasBias', (given) => {
  const { image, kernel } = given;
  const [x, g] = [noise([3, ...image]), noise([3, kernel[0], 2 * image[1], 2 * image[2]], 9)];

  test('forwards as by the definition, backwards its adjoint', async () => {
    const folded = optimise(foldUpsampling(graphOf(given)));
    for (const operator of ['Resize', 'AveragePool']) expect(count(folded, operator), operator).toBe(0);
    const { y, gradient } = await runGraph(folded, { x, g });
    expectClose(y, float32(reference(given, x), y!.shape), ROUNDING);
    // <A' g, x> = <g, A x>, where A is the map without its bias.
    const zero = float32(new Float32Array(x.data.length), x.shape);
    const ofZero = toNumbers((await runGraph(folded, { x: zero, g }))['y']!);
    const linear = float32(
      toNumbers(y!).map((v, at) => v - ofZero[at]!),
      y!.shape,
    );
    expect(Math.abs(dot(gradient!, x) - dot(g, linear))).toBeLessThan(1e-4);
    expectClose(gradient, (await runGraph(graphOf(given), { x, g }))['gradient']!, ROUNDING);
  });

  test('an image has the same bytes alone and among others', async () => {
    const folded = optimise(foldUpsampling(graphOf(given)));
    const all = await runGraph(folded, { x, g });
    const second = ({ data, shape }: Tensor): Tensor => {
      const size = data.length / 3;
      return float32((data as Float32Array).slice(size, 2 * size), [1, ...shape.slice(1)]);
    };
    const alone = await runGraph(folded, { x: second(x), g: second(g) });
    for (const name of ['y', 'gradient']) expect(alone[name]!.data, name).toEqual(second(all[name]!).data);
  });
});

/** A graph of one input, ended by `append`. */
function ended(append: (b: GraphBuilder, x: Value) => Value, channels = 2): Graph {
  const b = new GraphBuilder('other');
  b.output('y', append(b, b.input('x', 'float32', ['B', channels, 4, 6])));
  return b.build();
}

const kernel = (b: GraphBuilder): Value => b.constant(noise([2, 2, 3, 3], 2));
const enlarged = (b: GraphBuilder, x: Value): Value => nearest(b, x, { height: 8, width: 12 });
const SAME = { pads: [1, 1, 1, 1] };
const BLOCKS = { kernelShape: [2, 2], strides: [2, 2] };

test.each<[string, (b: GraphBuilder, x: Value) => Value]>([
  [
    'one pixel short of double',
    (b, x) => op.conv(b, nearest(b, x, { height: 7, width: 12 }), kernel(b), undefined, SAME),
  ],
  ['along one axis only', (b, x) => op.conv(b, nearest(b, x, { height: 8, width: 6 }), kernel(b), undefined, SAME)],
  [
    'interpolated',
    (b, x) => op.conv(b, op.resize(b, x, ['B', 2, 8, 12], { mode: 'linear' }), kernel(b), undefined, SAME),
  ],
  ['another padding', (b, x) => op.conv(b, enlarged(b, x), kernel(b), undefined, { pads: [1, 1, 0, 1] })],
  ['a stride', (b, x) => op.conv(b, enlarged(b, x), kernel(b), undefined, { ...SAME, strides: [2, 2] })],
  ['a dilation', (b, x) => op.conv(b, enlarged(b, x), kernel(b), undefined, { pads: [1, 1, 1, 1], dilations: [2, 1] })],
  ['a kernel of one pixel', (b, x) => op.conv(b, enlarged(b, x), b.constant(noise([2, 2, 1, 1])))],
  [
    'overlapping means',
    (b, x) => op.averagePool(b, op.conv(b, x, kernel(b), undefined, SAME), { kernelShape: [2, 2], strides: [1, 1] }),
  ],
  [
    'means of padded blocks',
    (b, x) => op.averagePool(b, op.conv(b, x, kernel(b), undefined, SAME), { ...BLOCKS, pads: [1, 1, 1, 1] }),
  ],
  [
    'means of what others read',
    (b, x) => {
      const y = op.conv(b, x, kernel(b), undefined, SAME);
      return op.concat(b, [op.averagePool(b, y, BLOCKS), op.averagePool(b, y, { ...BLOCKS, kernelShape: [2, 2] })], 1);
    },
  ],
  [
    'means of a pointwise convolution',
    (b, x) => op.averagePool(b, op.conv(b, x, b.constant(noise([2, 2, 1, 1]))), BLOCKS),
  ],
])('%s: left as it is', (_, append) => {
  const graph = ended(append);
  expect(foldUpsampling(graph)).toEqual(graph);
});

test('means of blocks of any shape, with a rest at the edge', async () => {
  const graph = ended((b, x) =>
    op.averagePool(b, op.conv(b, x, kernel(b), b.constant(noise([2], 3)), { pads: [1, 0, 2, 1] }), {
      kernelShape: [2, 3],
      strides: [2, 3],
    }),
  );
  const folded = optimise(foldUpsampling(graph));
  expect(count(folded, 'AveragePool')).toBe(0);
  const x = noise([2, 2, 4, 6]);
  expectClose((await runGraph(folded, { x }))['y'], (await runGraph(graph, { x }))['y']!, ROUNDING);
});
