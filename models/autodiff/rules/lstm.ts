/**
 * @file LSTM: with gates i, o, f and the candidate u, c = f c' + i u and h = o tanh c. The layer gives away h alone, so
 * the cells c are computed again: two small operators a step.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import type { RuleTable } from '../rule.ts';
import type { Direction } from './recurrent.ts';
import { recurrentRule } from './recurrent.ts';
import { gatesOf, linear, masked, perStep, productOverRows, total } from './recurrent-steps.ts';

/** Cells before and after every step: c = keeps c' + adds. */
function cellsOf(b: GraphBuilder, { order, before }: Direction, first: Value, parts: readonly [Value, Value]): Value[] {
  const [keeps, adds] = parts.map((part) => perStep(b, part));
  const earlier: Value[] = [];
  const later: Value[] = [];
  let cell = first;
  for (const step of order) {
    earlier[step] = cell;
    cell = op.add(b, op.mul(b, keeps![step]!, cell), adds![step]!);
    later[step] = cell;
  }
  const steps = before.shape[0] as number;
  return [earlier, later].map((cells) => op.concat(b, cells.slice(0, steps), 0));
}

export const lstmRules: RuleTable = {
  LSTM: recurrentRule(['Sigmoid', 'Tanh', 'Tanh'], (b, direction, { optional, gradients }) => {
    const { order, hidden, x, w, r, biases, before, mask, gates, state } = direction;
    const inputs = op.add(b, linear(b, x, w, biases?.[0]), linear(b, before, r, biases?.[1]));
    const [iIn, oIn, fIn, uIn] = gatesOf(b, inputs, hidden, 4);
    const [i, o, f] = [iIn, oIn, fIn].map((input) => gates[0]!(input!));
    const u = gates[1]!(uIn!);
    const keeps = masked(b, mask, f!.value, 1);
    const adds = masked(b, mask, op.mul(b, i!.value, u.value), 0);
    const [earlier, later] = cellsOf(b, direction, state(optional(6)), [keeps, adds]);
    const t = gates[2]!(later!);

    // Cotangent of c -> those of the inputs of i, f, u; of h -> that of o.
    const ofInputs = op.concat(
      b,
      [
        op.mul(b, u.value, i!.slope),
        op.mul(b, t.value, o!.slope),
        op.mul(b, earlier!, f!.slope),
        op.mul(b, i!.value, u.slope),
      ],
      2,
    );
    const factors = perStep(b, masked(b, mask, ofInputs, 0));
    const ofCell = perStep(b, masked(b, mask, op.mul(b, o!.value, t.slope), 0));
    const carried = perStep(b, keeps);
    // Steps outside their sequence hand the state through.
    const outside = mask && perStep(b, op.cast(b, op.not(b, mask), x.dtype));
    const given = direction.gradient && perStep(b, direction.gradient);
    let h = direction.lastGradient;
    let c = gradients[2] && state(gradients[2]);
    const made: Value[] = [];
    for (const step of [...order].reverse()) {
      const ofH = total(b, [given?.[step], h], ofCell[step]!);
      const part = op.mul(b, ofH, ofCell[step]!);
      const ofC = c ? op.add(b, c, part) : part;
      made[step] = op.mul(b, op.concat(b, [ofC, ofH, ofC, ofC], 2), factors[step]!);
      const back = op.matMul(b, made[step], r);
      h = outside ? op.add(b, back, op.mul(b, ofH, outside[step]!)) : back;
      c = op.mul(b, ofC, carried[step]!);
    }
    const all = op.concat(b, made, 0);
    return { inputs: all, recurrent: all, r: () => productOverRows(b, all, before), states: [h!, c!] };
  }),
};
