import { describe, expect, test } from 'vitest';

import { vjp } from '../../../models/autodiff/differentiate.ts';
import { linear } from '../../../models/nn/linear.ts';
import { Scope } from '../../../models/nn/scope.ts';
import { leaveWeightsAsTheyLie } from '../../../models/nn/weights-as-they-lie.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { estimateMemory } from '../../../models/packs/memory.ts';
import { noise } from '../../support/evaluate.ts';
import { runGraph } from '../../support/run-graph.ts';
import { weightsOf } from '../../support/weights.ts';

const [TOKENS, WIDTH, FEATURES] = [65, 512, 768];
// Sums of the size of one, where tanh is neither straight nor flat.
const { data, ...rest } = noise([FEATURES, WIDTH], 1);
const weight: Tensor = { ...rest, data: (data as Float32Array).map((value) => value / Math.sqrt(WIDTH)) };

/** y = tanh(x W^T) and its adjoint, for rows of `tokens` tokens. */
async function layer(tokens: number, isScaled = false): Promise<Graph> {
  const b = new GraphBuilder('layer');
  const x = b.input('x', 'float32', ['B', tokens, WIDTH]);
  const weights = new Scope(await weightsOf({ 'fc.weight': weight })).child('fc');
  const y = op.tanh(b, linear(b, weights, x, FEATURES));
  const [gradient] = vjp(b, [{ value: y, cotangent: b.input('g', 'float32', y.shape) }], [x]);
  b.output('y', y);
  b.output('gradient', gradient!);
  if (isScaled) b.output('scaled', op.mulScalar(b, weights.get(b, 'weight', [FEATURES, WIDTH]), 2));
  return b.build();
}

function feeds(lanes: number): Record<string, Tensor> {
  return { x: noise([lanes, TOKENS, WIDTH], 2), g: noise([lanes, TOKENS, FEATURES], 3) };
}

/** In float64. */
function reference({ x, g }: Record<string, Tensor>, rows: number): { y: number[]; gradient: number[] } {
  const [y, gradient] = [new Array<number>(rows * FEATURES).fill(0), new Array<number>(rows * WIDTH).fill(0)];
  const [xs, gs, w] = [x!, g!, weight].map(({ data }) => data as Float32Array) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  for (let row = 0; row < rows; row += 1) {
    for (let f = 0; f < FEATURES; f += 1) {
      let sum = 0;
      for (let k = 0; k < WIDTH; k += 1) sum += xs[row * WIDTH + k]! * w[f * WIDTH + k]!;
      const value = Math.tanh(sum);
      y[row * FEATURES + f] = value;
      const back = gs[row * FEATURES + f]! * (1 - value ** 2);
      for (let k = 0; k < WIDTH; k += 1) gradient[row * WIDTH + k]! += back * w[f * WIDTH + k]!;
    }
  }
  return { y, gradient };
}

describe('weights as they lie', () => {
  test('are inputs with a default, counted once; numbers are those of the layer', async () => {
    const graph = await layer(TOKENS);
    const left = leaveWeightsAsTheyLie(graph);
    expect(left.inputs.slice(graph.inputs.length).map(({ name }) => name)).toEqual(['fc.weight']);
    expect(left.nodes).toBe(graph.nodes);
    const bytes = 4 * FEATURES * WIDTH;
    const sizes = { B: 2 };
    expect(estimateMemory(graph, sizes).weights - estimateMemory(left, sizes).weights).toBe(bytes);
    expect(estimateMemory(left, sizes).activations).toBe(estimateMemory(graph, sizes).activations);

    const inputs = feeds(1);
    const { y, gradient } = await runGraph(left, inputs);
    const expected = reference(inputs, TOKENS);
    for (const [found, wanted] of [
      [y!, expected.y],
      [gradient!, expected.gradient],
    ] as const) {
      const size = Math.max(...wanted.map(Math.abs));
      const error = wanted.reduce((most, value, at) => Math.max(most, Math.abs(value - Number(found.data[at]))), 0);
      expect(error).toBeLessThan(2e-6 * size);
    }
  });

  test('give a lane the same bytes whatever its neighbours', async () => {
    const left = leaveWeightsAsTheyLie(await layer(TOKENS));
    const all = feeds(3);
    const together = await runGraph(left, all);
    for (let lane = 0; lane < 3; lane += 1) {
      const own = await runGraph(left, { x: laneOf(all['x']!, lane), g: laneOf(all['g']!, lane) });
      for (const name of ['y', 'gradient']) expect(own[name]).toEqual(laneOf(together[name]!, lane));
    }
  });

  test('are left to be packed where rows are few, weights small, or something else reads them', async () => {
    const few = await layer(63);
    expect(leaveWeightsAsTheyLie(few)).toBe(few);
    const many = await layer(TOKENS);
    expect(leaveWeightsAsTheyLie(many, FEATURES * WIDTH + 1)).toBe(many);
    const scaled = await layer(TOKENS, true);
    expect(leaveWeightsAsTheyLie(scaled)).toBe(scaled);
  });
});

function laneOf({ dtype, shape, data }: Tensor, lane: number): Tensor {
  const size = data.length / shape[0]!;
  return { dtype, shape: [1, ...shape.slice(1)], data: (data as Float32Array).slice(lane * size, (lane + 1) * size) };
}
