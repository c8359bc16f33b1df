import { describe, expect, test } from 'vitest';

import { vjp } from '../../../models/autodiff/differentiate.ts';
import { silu } from '../../../models/nn/activation.ts';
import { makeGatesAgain } from '../../../models/nn/gates-again.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { adjointRules, finished } from '../../../models/packs/kernels.ts';
import { noise } from '../../support/evaluate.ts';
import { executedNodes } from '../../support/executed-nodes.ts';
import { runGraph } from '../../support/run-graph.ts';

const CHANNELS = 8;
const SIZE = 16;
const LAYERS = 3;

/** Normalisation, gate and convolution, three times, and the way back through them. */
function decoderGraph(): Graph {
  const b = new GraphBuilder('decoder');
  const x = b.input('x', 'float32', ['B', CHANNELS, SIZE, SIZE]);
  let y = x;
  for (let layer = 0; layer < LAYERS; layer += 1) {
    const [scale, bias, w] = [[CHANNELS], [CHANNELS], [CHANNELS, CHANNELS, 3, 3]].map((shape, at) =>
      b.constant(noise(shape, 10 * layer + at)),
    );
    const normed = op.groupNormalization(b, y, scale!, bias!, { numGroups: 4, epsilon: 1e-6 });
    y = b.node('Conv', [silu(b, normed), w], { pads: { type: 'ints', value: [1, 1, 1, 1] } })[0]!;
  }
  const g = b.input('g', 'float32', y.shape);
  const [gradient] = vjp(b, [{ value: y, cotangent: g }], [x], { overrides: adjointRules(b, 'cpu') });
  b.output('y', y);
  b.output('gradient', gradient!);
  return finished(b.build(), 'cpu');
}

const graph = decoderGraph();
const elements = CHANNELS * SIZE * SIZE;
const rematerialised = makeGatesAgain(graph, elements);
const count = ({ nodes }: Graph, name: string): number => nodes.filter(({ op: found }) => found === name).length;
const feeds = (lanes: number): Record<string, Tensor> => ({
  x: noise([lanes, CHANNELS, SIZE, SIZE], 1),
  g: noise([lanes, CHANNELS, SIZE, SIZE], 2),
});

describe('gates that are made again', () => {
  test('stand in the graph twice, and nothing else does', () => {
    expect(count(graph, 'Sigmoid')).toBe(LAYERS);
    expect(count(rematerialised, 'Sigmoid')).toBe(2 * LAYERS);
    // Scale and shift, gate, product of each.
    expect(rematerialised.nodes).toHaveLength(graph.nodes.length + 3 * LAYERS);
    expect(count(rematerialised, 'Conv')).toBe(count(graph, 'Conv'));
  });

  test('give the same bytes', async () => {
    for (const lanes of [1, 3]) {
      const [kept, again] = [await runGraph(graph, feeds(lanes)), await runGraph(rematerialised, feeds(lanes))];
      expect(again).toEqual(kept);
    }
  });

  test('are no matter of small images, nor of graphs without a way back', () => {
    expect(makeGatesAgain(graph, elements + 1)).toBe(graph);
    const b = new GraphBuilder('forth');
    const x = b.input('x', 'float32', ['B', CHANNELS, SIZE, SIZE]);
    const [scale, bias] = [b.constant(noise([CHANNELS], 1)), b.constant(noise([CHANNELS], 2))];
    b.output('y', silu(b, op.groupNormalization(b, x, scale, bias, { numGroups: 4, epsilon: 1e-6 })));
    const forth = finished(b.build(), 'cpu');
    expect(makeGatesAgain(forth, 1)).toBe(forth);
  });

  // The memory is spared only if onnxruntime neither makes the two one nor makes both on the way forth.
  test('are made when the way forth is over, the last one first', async () => {
    const order = await executedNodes(rematerialised, feeds(1));
    const again = order.filter((name) => /Sigmoid(_\d+)?\/again/.test(name));
    expect(again).toHaveLength(LAYERS);
    const gates = order.filter((name) => /Sigmoid(_\d+)?$|QuickGelu/.test(name));
    expect(gates).toHaveLength(LAYERS);
    expect(order.indexOf(again[0]!)).toBeGreaterThan(order.indexOf(gates[LAYERS - 1]!));
    // Between them lies what they are read for: a gate is made when the one behind it has been used.
    const convolutions = order.flatMap((name, at) => (/vjp.*(Conv|Mul).*/.test(name) ? [at] : []));
    again.slice(1).forEach((name, at) => {
      const [from, to] = [order.indexOf(again[at]!), order.indexOf(name)];
      expect(convolutions.some((between) => between > from && between < to)).toBe(true);
    });
  });
});
