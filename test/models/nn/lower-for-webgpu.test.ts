import { describe, expect, test } from 'vitest';

import { lowerForWebgpu } from '../../../models/nn/lower-for-webgpu.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import type { GridSampleOptions } from '../../../models/onnx/ops/sampling.ts';
import { expectClose } from '../../support/close.ts';
import { noise } from '../../support/evaluate.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';

const operators = (graph: Graph): Set<string> => new Set(graph.nodes.map((node) => node.op));

function sampling(options: GridSampleOptions = {}): Graph {
  const b = new GraphBuilder('sample');
  const x = b.input('x', 'float32', ['N', 3, 5, 7]);
  b.output('y', op.gridSample(b, x, b.input('grid', 'float32', ['N', 4, 6, 2]), options));
  return b.build();
}

/** Twice as wide as the image, with places on borders, in corners and far outside. */
function grid(): Tensor {
  const shape = [2, 4, 6, 2];
  const values = toNumbers(noise(shape, 5)).map((value) => 2 * value);
  [-1, 1, 0, 3e9, -3e9, 1 - 1 / 7, 1 + 1 / 7, -1 - 1 / 5].forEach((place, at) => (values[at] = place));
  return float32(values, shape);
}

describe('GridSample', () => {
  test.each([false, true])(
    'gives the same numbers from other operators (corners aligned: %s)',
    async (alignCorners) => {
      const feeds = { x: noise([2, 3, 5, 7]), grid: grid() };
      const graph = sampling({ alignCorners });
      const lowered = lowerForWebgpu(graph);
      expect(operators(lowered)).not.toContain('GridSample');
      // Two ways to write the weights: a few roundings of values below 1.
      expectClose((await runGraph(lowered, feeds))['y'], (await runGraph(graph, feeds))['y']!, {
        rtol: 0,
        atol: 1e-6,
      });
      expect(lowered.outputs).toMatchObject([{ name: 'y', shape: ['N', 3, 4, 6] }]);
    },
  );

  test.each<GridSampleOptions>([{ mode: 'cubic' }, { mode: 'nearest' }, { paddingMode: 'border' }])(
    'stays in forms that are not covered: %j',
    (options) => {
      expect(operators(lowerForWebgpu(sampling(options)))).toContain('GridSample');
    },
  );
});

test('LogSoftmax gives the same numbers from other operators, also of large scores', async () => {
  const b = new GraphBuilder('logs');
  b.output('y', op.logSoftmax(b, b.input('x', 'float32', ['N', 3, 11])));
  const graph = b.build();
  const x = float32(
    toNumbers(noise([2, 3, 11])).map((value) => 200 * value),
    [2, 3, 11],
  );
  const lowered = lowerForWebgpu(graph);
  expect(operators(lowered)).not.toContain('LogSoftmax');
  expectClose((await runGraph(lowered, { x }))['y'], (await runGraph(graph, { x }))['y']!, { rtol: 1e-6, atol: 1e-6 });
});

describe('ConvTranspose', () => {
  const transposed = (options: Parameters<typeof op.convTranspose>[4], hasBias = false): Graph => {
    const b = new GraphBuilder('transposed');
    const [x, w] = [b.input('x', 'float32', ['N', 4, 3, 5]), b.input('w', 'float32', [4, 3, 2, 7])];
    b.output('y', op.convTranspose(b, x, w, hasBias ? b.input('bias', 'float32', [3]) : undefined, options));
    return b.build();
  };
  const feeds = { x: noise([2, 4, 3, 5]), w: noise([4, 3, 2, 7], 7) };

  test.each([false, true])('of windows side by side is a product (bias: %s)', async (hasBias) => {
    const graph = transposed({ strides: [2, 7] }, hasBias);
    const lowered = lowerForWebgpu(graph);
    expect(operators(lowered)).not.toContain('ConvTranspose');
    const all = { ...feeds, ...(hasBias && { bias: noise([3], 9) }) };
    expectClose((await runGraph(lowered, all))['y'], (await runGraph(graph, all))['y']!, { rtol: 1e-6, atol: 1e-6 });
    expect(lowered.outputs).toMatchObject([{ name: 'y', shape: ['N', 3, 6, 35] }]);
  });

  test.each([
    { strides: [1, 1] },
    {},
    { strides: [2, 7], pads: [1, 0, 1, 0] },
    { strides: [2, 7], dilations: [2, 1] },
    { strides: [2, 7], outputPadding: [1, 1] },
  ])('stays in other forms: %j', (options) => {
    expect(operators(lowerForWebgpu(transposed(options)))).toContain('ConvTranspose');
  });
});
