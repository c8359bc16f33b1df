/**
 * @file Inference of recurrent layers: X [steps, batch, features] -> Y [steps, directions, batch, hidden] and the states
 * after the last step [directions, batch, hidden].
 */
import type { Dim } from '../shapes.ts';
import { formatShape } from '../shapes.ts';
import type { InferContext, InferRule } from './rule.ts';
import { expectEqual, problem, rankOf, sameType } from './context.ts';

/** Directions of a layer in the order of its weights: true for those that go from the last step to the first. */
export function directionsOf({ attributes, where }: Pick<InferContext, 'attributes' | 'where'>): readonly boolean[] {
  const direction = attributes.string('direction', 'forward');
  if (direction === 'forward') return [false];
  if (direction === 'reverse') return [true];
  if (direction === 'bidirectional') return [false, true];
  throw problem({ where }, `direction "${direction}", expected "forward", "reverse" or "bidirectional"`);
}

interface Layer {
  /** Gates: rows of the weights over the hidden size. */
  readonly gates: number;
  /** Position of the first state among the inputs, and how many there are. */
  readonly states: readonly number[];
}

const recurrent =
  ({ gates, states }: Layer): InferRule =>
  (context) => {
    const [x, w, r] = [rankOf(context, 0, 3), rankOf(context, 1, 3), rankOf(context, 2, 3)];
    sameType(context, [x, w, r]);
    if (context.attributes.int('layout', 0) !== 0) {
      throw problem(context, 'layout 1 (batch first) is not supported, nor by onnxruntime: transpose the input');
    }
    const directions = directionsOf(context).length;
    const hidden = r.shape[2]!;
    const asked = context.attributes.int('hidden_size', typeof hidden === 'number' ? hidden : 0);
    if (typeof hidden === 'number') expectEqual(context, asked, hidden, 'hidden_size and last axis of R');
    const rows = gates * asked;
    expectShape(context, 1, [directions, rows, x.shape[2]!]);
    expectShape(context, 2, [directions, rows, asked]);
    expectShape(context, 3, [directions, 2 * rows]);
    expectShape(context, 4, [x.shape[1]!]);
    for (const at of states) expectShape(context, at, [directions, x.shape[1]!, asked]);
    const state = { dtype: x.dtype, shape: [directions, x.shape[1]!, asked] };
    const y = { dtype: x.dtype, shape: [x.shape[0]!, directions, x.shape[1]!, asked] };
    return [y, ...states.map(() => state)].slice(0, context.outputs);
  };

/** An optional input, if it is given, fits; symbols are believed. */
function expectShape(context: InferContext, at: number, expected: readonly Dim[]): void {
  const value = context.inputs[at];
  if (!value) return;
  const fits =
    value.shape.length === expected.length &&
    value.shape.every((dim, axis) => {
      const other = expected[axis]!;
      return dim === other || typeof dim === 'string' || typeof other === 'string';
    });
  if (fits) return;
  throw problem(context, `input ${at} has shape ${formatShape(value.shape)}, expected ${formatShape(expected)}`);
}

export const recurrentRules: Readonly<Record<string, InferRule>> = {
  RNN: recurrent({ gates: 1, states: [5] }),
  GRU: recurrent({ gates: 3, states: [5] }),
  LSTM: recurrent({ gates: 4, states: [5, 6] }),
};
