/**
 * @file RNN: h = f(x w^T + h' r^T + biases).
 */
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import type { RuleTable } from '../rule.ts';
import { recurrentRule } from './recurrent.ts';
import { linear, masked, perStep, productOverRows, total } from './recurrent-steps.ts';

export const rnnRules: RuleTable = {
  RNN: recurrentRule(['Tanh'], (b, direction) => {
    const { order, x, w, r, biases, before, mask, gates } = direction;
    const inputs = op.add(b, linear(b, x, w, biases?.[0]), linear(b, before, r, biases?.[1]));
    const slopes = perStep(b, masked(b, mask, gates[0]!(inputs).slope, 0));
    // Steps outside their sequence hand the state through.
    const outside = mask && perStep(b, op.cast(b, op.not(b, mask), x.dtype));
    const given = direction.gradient && perStep(b, direction.gradient);
    let h = direction.lastGradient;
    const made: Value[] = [];
    for (const step of [...order].reverse()) {
      const ofH = total(b, [given?.[step], h], slopes[step]!);
      made[step] = op.mul(b, ofH, slopes[step]!);
      const back = op.matMul(b, made[step], r);
      h = outside ? op.add(b, back, op.mul(b, ofH, outside[step]!)) : back;
    }
    const all = op.concat(b, made, 0);
    return { inputs: all, recurrent: all, r: () => productOverRows(b, all, before), states: [h!] };
  }),
};
