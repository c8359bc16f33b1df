import { describe, expect, test } from 'vitest';

import { vjp } from '../../../models/autodiff/differentiate.ts';
import { silu } from '../../../models/nn/activation.ts';
import { lowerGroupNorms } from '../../../models/nn/lower-group-norm.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { optimise } from '../../../models/onnx/passes/optimise.ts';
import { adjointRules } from '../../../models/packs/kernels.ts';
import { expectClose } from '../../support/close.ts';
import { noise } from '../../support/evaluate.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';

const CHANNELS = 6;
const PIXELS = 32;
const [scale, bias] = [noise([CHANNELS], 2), noise([CHANNELS], 3)];

interface Setting {
  readonly groups: number;
  readonly epsilon: number;
}

function graphOf({ groups, epsilon }: Setting): Graph {
  const b = new GraphBuilder('norm');
  const x = b.input('x', 'float32', ['B', CHANNELS, 4, 8]);
  const y = op.groupNormalization(b, x, b.constant(scale), b.constant(bias), { numGroups: groups, epsilon });
  const g = b.input('g', 'float32', y.shape);
  const [gradient] = vjp(b, [{ value: y, cotangent: g }], [x], { overrides: adjointRules(b, 'cpu') });
  b.output('y', y);
  b.output('gradient', gradient!);
  return optimise(lowerGroupNorms(b.build(), 'kernels'));
}

/** In float64, by the definitions: x' = r (h - mean h - xhat mean(xhat h)), h = gamma g, over each group. */
function reference(x: Tensor, g: Tensor, { groups, epsilon }: Setting): { y: number[]; gradient: number[] } {
  const size = (CHANNELS / groups) * PIXELS;
  const [values, cotangents] = [toNumbers(x), toNumbers(g)];
  const channel = (at: number): number => Math.floor(at / PIXELS) % CHANNELS;
  const [y, gradient]: [number[], number[]] = [[], []];
  const mean = (numbers: readonly number[]): number => numbers.reduce((sum, v) => sum + v, 0) / size;
  for (let start = 0; start < values.length; start += size) {
    const group = values.slice(start, start + size);
    const middle = mean(group);
    const r = 1 / Math.sqrt(mean(group.map((v) => (v - middle) ** 2)) + epsilon);
    const xhat = group.map((v) => (v - middle) * r);
    const h = xhat.map((_, at) => cotangents[start + at]! * Number(scale.data[channel(start + at)]));
    const [level, slope] = [mean(h), mean(h.map((v, at) => v * xhat[at]!))];
    xhat.forEach((v, at) => {
      y.push(v * Number(scale.data[channel(start + at)]) + Number(bias.data[channel(start + at)]));
      gradient.push(r * (h[at]! - level - v * slope));
    });
  }
  return { y, gradient };
}

describe.each<Setting>([
  { groups: 2, epsilon: 0.5 },
  { groups: 3, epsilon: 1e-5 },
  { groups: 6, epsilon: 1e-6 },
])('$groups groups, epsilon $epsilon', (setting) => {
  const [x, g] = [noise([3, CHANNELS, 4, 8]), noise([3, CHANNELS, 4, 8], 4)];

  test('output and gradient by the definition', async () => {
    const expected = reference(x, g, setting);
    const found = await runGraph(graphOf(setting), { x, g });
    expectClose(found['y'], float32(expected.y, x.shape), { rtol: 2e-6, atol: 1e-6 });
    expectClose(found['gradient'], float32(expected.gradient, x.shape), { rtol: 1e-5, atol: 2e-6 });
  });

  test('an image has the same bytes alone and among others', async () => {
    const all = await runGraph(graphOf(setting), { x, g });
    const size = CHANNELS * PIXELS;
    for (const at of [0, 1, 2]) {
      const one = ({ data }: Tensor): Tensor =>
        float32((data as Float32Array).slice(at * size, (at + 1) * size), [1, CHANNELS, 4, 8]);
      const alone = await runGraph(graphOf(setting), { x: one(x), g: one(g) });
      for (const name of ['y', 'gradient']) expect(alone[name]!.data, name).toEqual(one(all[name]!).data);
    }
  });
});

test('keeps its digits where the mean is large', async () => {
  const setting = { groups: 2, epsilon: 1e-6 };
  const x = float32(
    toNumbers(noise([2, CHANNELS, 4, 8])).map((v) => v + 500),
    [2, CHANNELS, 4, 8],
  );
  const g = noise([2, CHANNELS, 4, 8], 4);
  const expected = reference(x, g, setting);
  const { y, gradient } = await runGraph(graphOf(setting), { x, g });
  // Numbers near 500 have steps of 3e-5, half of which is 3e-5 of the deviation of 0.58.
  expectClose(y, float32(expected.y, x.shape), { rtol: 0, atol: 1e-4 });
  expectClose(gradient, float32(expected.gradient, x.shape), { rtol: 0, atol: 2e-4 });
});

test('a group of equal numbers has the gradient of its epsilon', async () => {
  const setting = { groups: 2, epsilon: 0.25 };
  const x = float32(Array<number>(CHANNELS * PIXELS).fill(3), [1, CHANNELS, 4, 8]);
  const g = noise([1, CHANNELS, 4, 8], 4);
  const { y, gradient } = await runGraph(graphOf(setting), { x, g });
  expectClose(y, float32(reference(x, g, setting).y, x.shape), { rtol: 0, atol: 1e-6 });
  expectClose(gradient, float32(reference(x, g, setting).gradient, x.shape), { rtol: 1e-5, atol: 1e-6 });
});

/** Norm, activation and convolution twice: what a residual block is made of, all groups of one number and size. */
function blockOf(kernels: 'cpu' | 'any', batch: number | string): Graph {
  const b = new GraphBuilder('block');
  const x = b.input('x', 'float32', [batch, CHANNELS, 4, 8]);
  let y = x;
  for (const layer of [0, 1, 2]) {
    const [gamma, beta] = [b.constant(noise([CHANNELS], 20 + layer)), b.constant(noise([CHANNELS], 30 + layer))];
    const normed = op.groupNormalization(b, y, gamma, beta, { numGroups: 3, epsilon: 1e-6 });
    y = op.conv(b, silu(b, normed), b.constant(noise([CHANNELS, CHANNELS, 3, 3], 10 + layer)), undefined, {
      pads: [1, 1, 1, 1],
    });
  }
  const g = b.input('g', 'float32', y.shape);
  const [gradient] = vjp(b, [{ value: y, cotangent: g }], [x], { overrides: adjointRules(b, kernels) });
  b.output('y', y);
  b.output('gradient', gradient!);
  return optimise(lowerGroupNorms(b.build(), kernels === 'cpu' ? 'kernels' : 'sums'));
}

// onnxruntime writes statistics over those that go in: norms that shared them would take each other's.
test.each(['B', 2])('norms of one size do not disturb each other, batch %s', async (batch) => {
  const [x, g] = [noise([2, CHANNELS, 4, 8]), noise([2, CHANNELS, 4, 8], 4)];
  const [found, expected] = [
    await runGraph(blockOf('cpu', batch), { x, g }),
    await runGraph(blockOf('any', batch), { x, g }),
  ];
  expectClose(found['y'], expected['y']!, { rtol: 1e-5, atol: 1e-5 });
  expectClose(found['gradient'], expected['gradient']!, { rtol: 1e-5, atol: 1e-4 });
});

test('forward and backward pass share one standardisation per norm', () => {
  const graph = blockOf('cpu', 'B');
  expect(graph.nodes.filter(({ outputs }) => outputs.length === 3)).toHaveLength(3);
  expect(graph.nodes.filter((node) => node.op === 'InstanceNormalization')).toHaveLength(0);
});

test('behind a convolution the scale stands right after it, where runtimes take it into the kernel', () => {
  const { nodes } = blockOf('cpu', 'B');
  const backwards = nodes.filter((node) => node.op === 'Conv').slice(3);
  const readers = backwards.map(({ outputs }) => nodes.filter(({ inputs }) => inputs.includes(outputs[0])));
  expect(backwards).toHaveLength(3);
  for (const [reader, ...others] of readers) {
    expect(others).toEqual([]);
    expect(reader?.op).toBe('Mul');
    expect(reader?.inputs[1]?.shape).toEqual([CHANNELS, 1, 1]);
  }
});
