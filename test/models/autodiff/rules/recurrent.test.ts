/**
 * @file Recurrent layers, against the same layers written out in elementary operators. PyTorch's numbers of all variants
 * are in operators.test.ts.
 */
import { describe, expect, test } from 'vitest';

import { vjpOrZeros } from '../../../../models/autodiff/differentiate.ts';
import { gradientGraph } from '../../../../models/autodiff/gradient-graph.ts';
import { missingRules } from '../../../../models/autodiff/missing-rules.ts';
import { MOST_STEPS } from '../../../../models/autodiff/rules/recurrent.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import type { Attributes, Graph, Value } from '../../../../models/onnx/graph.ts';
import { float, int, text } from '../../../../models/onnx/graph.ts';
import * as op from '../../../../models/onnx/ops.ts';
import type { Dim } from '../../../../models/onnx/shapes.ts';
import { expectClose } from '../../../support/close.ts';
import { runGraph } from '../../../support/run-graph.ts';
import type { Build } from '../check-gradient.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

const [STEPS, BATCH, FEATURES, HIDDEN] = [4, 2, 3, 2];
const GATES: Readonly<Record<string, number>> = { RNN: 1, GRU: 3, LSTM: 4 };

/** Shapes of X, W, R, B, initial_h and, of an LSTM, initial_c. */
function shapesOf(name: string): number[][] {
  const rows = GATES[name]! * HIDDEN;
  const state = [1, BATCH, HIDDEN];
  const all = [[STEPS, BATCH, FEATURES], [1, rows, FEATURES], [1, rows, HIDDEN], [1, 2 * rows], state, state];
  return name === 'LSTM' ? all : all.slice(0, 5);
}

const layer =
  (name: string, attributes: Attributes = {}): Build =>
  (b, inputs) => {
    const [x, w, r, bias, ...states] = inputs.map((input) => op.cast(b, input, 'float32'));
    const given = [x, w, r, bias, undefined, ...states];
    const made = b.node(name, given, { hidden_size: int(HIDDEN), ...attributes }, name === 'LSTM' ? 3 : 2);
    // One value of all outputs: the last states count twice.
    const [y, ...last] = made.map((value) => op.cast(b, value, inputs[0]!.dtype));
    return op.concat(b, [y!, ...last.map((value) => op.unsqueeze(b, value, [1]))], 0);
  };

/** The layer by ONNX's formulas. */
const writtenOut =
  (name: string, isLinearBeforeReset = false): Build =>
  (b, [x, w, r, bias, first, firstCell]) => {
    const rows = GATES[name]! * HIDDEN;
    const sizes = Array.from({ length: GATES[name]! }, () => HIDDEN);
    const product = (value: Value, weights: Value, bias: Value): Value[] =>
      op.split(b, op.add(b, op.matMul(b, value, op.transposeMatrix(b, weights)), bias), sizes, 2).slice();
    const [ofX, ofH] = op.split(b, bias!, [rows, rows], 1);
    const sigma = (...values: Value[]): Value => op.sigmoid(b, op.sum(b, values));
    let [h, c] = [first!, firstCell];
    const made: Value[] = [];
    for (const step of op.split(b, x!, [1, 1, 1, 1], 0)) {
      const [a, s] = [product(step, w!, ofX!), product(h, r!, ofH!)];
      if (name === 'RNN') h = op.tanh(b, op.add(b, a[0]!, s[0]!));
      else if (name === 'GRU') {
        const [z, reset] = [sigma(a[0]!, s[0]!), sigma(a[1]!, s[1]!)];
        const inner = isLinearBeforeReset ? op.mul(b, reset, s[2]!) : product(op.mul(b, reset, h), r!, ofH!)[2]!;
        const n = op.tanh(b, op.add(b, a[2]!, inner));
        h = op.add(b, n, op.mul(b, z, op.sub(b, h, n)));
      } else {
        const [i, o, f] = [0, 1, 2].map((gate) => sigma(a[gate]!, s[gate]!));
        c = op.add(b, op.mul(b, f!, c!), op.mul(b, i!, op.tanh(b, op.add(b, a[3]!, s[3]!))));
        h = op.mul(b, o!, op.tanh(b, c));
      }
      made.push(h);
    }
    const last = c ? [h, c] : [h];
    return op.unsqueeze(b, op.concat(b, [...made, ...last], 0), [1]);
  };

const LAYERS: readonly (readonly [string, Build, Build, string])[] = [
  ['RNN', layer('RNN'), writtenOut('RNN'), 'RNN'],
  ['GRU', layer('GRU'), writtenOut('GRU'), 'GRU'],
  ['GRU, linear before reset', layer('GRU', { linear_before_reset: int(1) }), writtenOut('GRU', true), 'GRU'],
  ['LSTM', layer('LSTM'), writtenOut('LSTM'), 'LSTM'],
];

describe.each(LAYERS)('%s', (_, build, reference, name) => {
  const inputs = shapesOf(name).map((shape, at) => randomTensor(shape, 3 + at));

  test('the gradient agrees with differences of the layer written out in float64', async () => {
    for (const seed of [1, 2]) await checkGradient(build, inputs, { reference, seed });
  });

  test('the gradient of the gradient is that of the layer written out', async () => {
    const twice = (made: Build): Graph => {
      const b = new GraphBuilder('layer');
      const xs = inputs.map(({ shape }, at) => b.input(`x${at}`, 'float32', shape));
      const y = made(b, xs);
      const c = b.input('c', 'float32', y.shape);
      const pairs = vjpOrZeros(b, [{ value: y, cotangent: c }], xs).map((value, at) => ({
        value,
        cotangent: b.input(`c${at}`, 'float32', value.shape),
      }));
      vjpOrZeros(b, pairs, [...xs, c]).forEach((value, at) => b.output(`of ${[...xs, c][at]!.name}`, value));
      return b.build();
    };
    const [ours, theirs] = [twice(build), twice(reference)];
    const feeds = Object.fromEntries(
      ours.inputs.map((value, at) => [
        value.name,
        randomTensor(value.shape as number[], 40 + at, { dtype: 'float32' }),
      ]),
    );
    const [found, expected] = [await runGraph(ours, feeds), await runGraph(theirs, feeds)];
    expect(Object.keys(found)).toHaveLength(inputs.length + 1);
    for (const [output, tensor] of Object.entries(expected)) {
      expectClose(found[output], tensor, { rtol: 1e-4, atol: 1e-5 }, output);
    }
  });
});

describe('what is refused names the node', () => {
  interface Made {
    readonly steps?: Dim;
    readonly attributes?: Attributes;
    readonly peepholes?: boolean;
  }

  function lstm({ steps = 4, attributes = {}, peepholes = false }: Made): Graph {
    const b = new GraphBuilder('layer');
    const x = b.input('x', 'float32', [steps, 1, 3]);
    const [w, r, p] = [
      [1, 8, 3],
      [1, 8, 2],
      [1, 6],
    ].map((shape, at) => b.constant(randomTensor(shape, at, { dtype: 'float32' }), `w${at}`));
    const inputs = [x, w, r, undefined, undefined, undefined, undefined, peepholes ? p : undefined];
    const names = { name: 'reader/lstm', outputs: ['states'] };
    b.outputAsNamed(b.namedNode({ ...names, op: 'LSTM', inputs, attributes })[0]!);
    return b.build();
  }

  test.each<[string, Made, string]>([
    ['open steps', { steps: 'T' }, 'its number of steps must be known'],
    ['too many steps', { steps: MOST_STEPS + 1 }, 'found 1025 steps, expected at most 1024'],
    ['peepholes', { peepholes: true }, 'peepholes'],
    ['coupled gates', { attributes: { input_forget: int(1) } }, 'input_forget'],
    [
      'an activation',
      { attributes: { activations: { type: 'strings', value: ['HardSigmoid', 'Tanh', 'Tanh'] } } },
      'activation "HardSigmoid", expected Sigmoid, Tanh or Relu',
    ],
  ])('%s', (_, made, reason) => {
    const graph = lstm(made);
    const start = 'node reader/lstm: LSTM has no gradient rule for input 0 ("x"): ';
    expect(() => gradientGraph(graph, { of: ['states'], wrt: ['x'] })).toThrow(start + reason);
    expect(missingRules(graph)).toEqual([
      expect.objectContaining({ node: 'reader/lstm', reason: expect.stringContaining(reason) as string }),
    ]);
  });

  test.each<[Attributes, string]>([
    [{ layout: int(1) }, 'layout 1 (batch first) is not supported'],
    [{ direction: text('sideways') }, 'direction "sideways", expected "forward", "reverse" or "bidirectional"'],
    [{ direction: text('bidirectional') }, 'input 1 has shape [1, 8, 3], expected [2, 8, 3]'],
    [{ hidden_size: int(3) }, 'hidden_size and last axis of R: 3 against 2'],
    [{ clip: float(1), hidden_size: float(2) }, 'attribute "hidden_size" must be of type int'],
  ])('%j', (attributes, reason) => {
    expect(() => lstm({ attributes })).toThrow(`node reader/lstm (LSTM): ${reason}`);
  });
});
