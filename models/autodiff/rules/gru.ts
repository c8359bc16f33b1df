/**
 * @file GRU: with gates z, r and the candidate n, h = (1 - z) n + z h'. The reset gate r acts on the state before its
 * product with the weights (n = g(x W + (r h') R)), or on the product (`linear_before_reset`: n = g(x W + r (h' R + b))).
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import type { RuleTable } from '../rule.ts';
import type { Direction, DirectionGradient } from './recurrent.ts';
import { recurrentRule } from './recurrent.ts';
import { gatesOf, linear, masked, perStep, productOverRows, total } from './recurrent-steps.ts';
import type { Gate } from './recurrent-activation.ts';

const complement = (b: GraphBuilder, x: Value): Value => op.sub(b, b.scalar(1, x.dtype), x);

/** Rows of the recurrent weights that belong to a gate. */
function rowsOf(b: GraphBuilder, r: Value, hidden: number, count: number): Value[] {
  return op.split(b, r, count === 3 ? [hidden, hidden, hidden] : [2 * hidden, hidden], 0);
}

interface Step {
  readonly step: number;
  /** Cotangent of the state after the step. */
  readonly ofH: Value;
}

/** Walks back: `through` gives the cotangent of the state before a step without what z hands on. */
function walk(b: GraphBuilder, direction: Direction, z: Gate, through: (step: Step) => Value): Value {
  const { order, mask } = direction;
  // Steps outside their sequence hand the state through.
  const kept = perStep(b, masked(b, mask, z.value, 1));
  const given = direction.gradient && perStep(b, direction.gradient);
  let h = direction.lastGradient;
  for (const step of [...order].reverse()) {
    const ofH = total(b, [given?.[step], h], kept[step]!);
    h = op.add(b, op.mul(b, ofH, kept[step]!), through({ step, ofH }));
  }
  return h!;
}

function resetBefore(b: GraphBuilder, direction: Direction): DirectionGradient {
  const { hidden, x, w, biases, before, mask, gates } = direction;
  const [gateRows, rowsN] = rowsOf(b, direction.r, hidden, 2);
  const [gateBias, biasN] = biases ? op.split(b, biases[1], [2 * hidden, hidden], 0) : [];
  const [xz, xr, xn] = gatesOf(b, linear(b, x, w, biases?.[0]), hidden, 3);
  const [hz, hr] = gatesOf(b, linear(b, before, gateRows!, gateBias), hidden, 2);
  const z = gates[0]!(op.add(b, xz!, hz!));
  const r = gates[0]!(op.add(b, xr!, hr!));
  const reset = op.mul(b, r.value, before);
  const n = gates[1]!(op.add(b, xn!, linear(b, reset, rowsN!, biasN)));

  const [ofZ, ofN] = [op.mul(b, op.sub(b, before, n.value), z.slope), op.mul(b, complement(b, z.value), n.slope)];
  const [forZ, forN, forR, resets] = [ofZ, ofN, op.mul(b, before, r.slope), r.value].map((factor) =>
    perStep(b, masked(b, mask, factor, 0)),
  );
  const made: Value[] = [];
  const first = walk(b, direction, z, ({ step, ofH }) => {
    const n = op.mul(b, ofH, forN![step]!);
    const ofReset = op.matMul(b, n, rowsN!);
    const gatesBoth = op.concat(b, [op.mul(b, ofH, forZ![step]!), op.mul(b, ofReset, forR![step]!)], 2);
    made[step] = op.concat(b, [gatesBoth, n], 2);
    return op.add(b, op.mul(b, ofReset, resets![step]!), op.matMul(b, gatesBoth, gateRows!));
  });
  const all = op.concat(b, made, 0);
  return {
    inputs: all,
    recurrent: all,
    r: () => {
      const [zr, n] = op.split(b, all, [2 * hidden, hidden], 2);
      return op.concat(b, [productOverRows(b, zr!, before), productOverRows(b, n!, reset)], 0);
    },
    states: [first],
  };
}

function resetAfter(b: GraphBuilder, direction: Direction): DirectionGradient {
  const { hidden, x, w, biases, before, mask, gates } = direction;
  const [xz, xr, xn] = gatesOf(b, linear(b, x, w, biases?.[0]), hidden, 3);
  const [hz, hr, hn] = gatesOf(b, linear(b, before, direction.r, biases?.[1]), hidden, 3);
  const z = gates[0]!(op.add(b, xz!, hz!));
  const r = gates[0]!(op.add(b, xr!, hr!));
  const n = gates[1]!(op.add(b, xn!, op.mul(b, r.value, hn!)));

  // All cotangents of a step are multiples of the one of its state.
  const ofZ = op.mul(b, op.sub(b, before, n.value), z.slope);
  const ofN = op.mul(b, complement(b, z.value), n.slope);
  const ofR = op.mul(b, op.mul(b, ofN, hn!), r.slope);
  const factors = perStep(b, masked(b, mask, op.concat(b, [ofZ, ofR, op.mul(b, ofN, r.value)], 2), 0));
  const made: Value[] = [];
  const states: Value[] = [];
  const first = walk(b, direction, z, ({ step, ofH }) => {
    states[step] = ofH;
    made[step] = op.mul(b, op.concat(b, [ofH, ofH, ofH], 2), factors[step]!);
    return op.matMul(b, made[step], direction.r);
  });
  const recurrent = op.concat(b, made, 0);
  const [zr] = op.split(b, recurrent, [2 * hidden, hidden], 2);
  const ofInput = op.mul(b, op.concat(b, states, 0), masked(b, mask, ofN, 0));
  return {
    inputs: op.concat(b, [zr!, ofInput], 2),
    recurrent,
    r: () => productOverRows(b, recurrent, before),
    states: [first],
  };
}

export const gruRules: RuleTable = {
  GRU: recurrentRule(['Sigmoid', 'Tanh'], (b, direction, { attributes }) =>
    attributes.int('linear_before_reset', 0) === 0 ? resetBefore(b, direction) : resetAfter(b, direction),
  ),
};
