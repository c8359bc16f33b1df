/**
 * @file What the rules of RNN, GRU and LSTM share. The layer itself is run by its own operator; its way back is written out
 * step by step. Everything that is no recurrence is computed for all steps at once from the states that the layer gives
 * away: gates, slopes and the gradients of the weights are products over [steps * batch] rows. What remains of a step are
 * a few products of [batch, hidden].
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import { directionsOf } from '../../onnx/infer/recurrent.ts';
import * as op from '../../onnx/ops.ts';
import type { Contribution, Rule, RuleContext } from '../rule.ts';
import { lazy, missingRule } from '../rule.ts';
import { asMatrix, reshapeLike, sizesOf } from '../sizes.ts';
import { masked, productOverRows } from './recurrent-steps.ts';
import { activationsOf } from './recurrent-activation.ts';
import type { Gate } from './recurrent-activation.ts';

/** onnxruntime opens a layer of so many steps in both directions in 4 s, and the time grows with their square. */
export const MOST_STEPS = 1024;

/** One direction of a layer. Values over all steps are [steps, batch, ...] in the order of the input, states [1, batch, hidden]. */
export interface Direction {
  /** Steps in the order in which the layer takes them. */
  readonly order: readonly number[];
  readonly hidden: number;
  readonly x: Value;
  /** [gates * hidden, features] and [gates * hidden, hidden] */
  readonly w: Value;
  readonly r: Value;
  /** [gates * hidden] each; undefined without bias. */
  readonly biases: readonly [Value, Value] | undefined;
  /** States before each step. */
  readonly before: Value;
  /** Whether a step is inside its sequence, [steps, batch, 1]; undefined where all are. */
  readonly mask: Value | undefined;
  /** Cotangents of the states after each step, and of the state after the last one; undefined: zero. */
  readonly gradient: Value | undefined;
  readonly lastGradient: Value | undefined;
  /** The direction's part of a state that the node may be given (or of a cotangent of one), zeros without it. */
  readonly state: (given: Value | undefined) => Value;
  readonly gates: readonly ((input: Value) => Gate)[];
}

/** Cotangents of what a direction reads. */
export interface DirectionGradient {
  /** Of x w^T + bias and of h r^T + bias, [steps, batch, gates * hidden]. */
  readonly inputs: Value;
  readonly recurrent: Value;
  readonly r: () => Value;
  /** Of the states at the start, in the order of the node's inputs. */
  readonly states: readonly Value[];
}

type Backward = (b: GraphBuilder, direction: Direction, context: RuleContext) => DirectionGradient;

/** A rule from the way back through one direction. */
export function recurrentRule(defaults: readonly string[], backward: Backward): Rule {
  return (context, b) => {
    const {
      node,
      inputs: [x],
      attributes,
    } = context;
    const parts = lazy(() =>
      directionsFrom(context, b, defaults).map((direction) => ({
        direction,
        gradient: backward(b, direction, context),
      })),
    );
    const stacked = (of: (part: ReturnType<typeof parts>[number]) => Value): Value =>
      op.concat(
        b,
        parts().map((part) => op.unsqueeze(b, of(part), [0])),
        0,
      );
    const state =
      (at: number): Contribution =>
      () =>
        op.concat(
          b,
          parts().map(({ gradient }) => gradient.states[at]!),
          0,
        );
    return [
      () =>
        op.sum(
          b,
          parts().map(({ direction, gradient }) =>
            reshapeLike(b, op.gemm(b, asMatrix(b, gradient.inputs), direction.w), x),
          ),
        ),
      () => stacked(({ gradient }) => productOverRows(b, gradient.inputs, x)),
      () => stacked(({ gradient }) => gradient.r()),
      () =>
        stacked(({ gradient: { inputs, recurrent } }) =>
          op.concat(
            b,
            [inputs, recurrent].map((g) => op.reduceSum(b, g, { axes: [0, 1], keepdims: false })),
            0,
          ),
        ),
      undefined,
      state(0),
      ...(node.op === 'LSTM' ? [state(1)] : []),
    ].map((contribution): Contribution => {
      if (!contribution) return undefined;
      return () => {
        refuse(context);
        if (attributes.int('input_forget', 0) !== 0) throw missingRule(node, 0, 'input_forget');
        return contribution();
      };
    });
  };
}

/** What the way back does not cover. */
function refuse({ node, inputs: [x, , r], optional }: RuleContext): void {
  if (optional(7)) throw missingRule(node, 0, 'peepholes');
  const isKnown = typeof r.shape[2] === 'number' && typeof (optional(3)?.shape[1] ?? 0) === 'number';
  if (!isKnown) throw missingRule(node, 0, 'its hidden size must be known');
  const steps = x.shape[0]!;
  if (typeof steps !== 'number') {
    throw missingRule(
      node,
      0,
      'its number of steps must be known, since its way back is written out step by step: fix the sizes that it depends on, ' +
        'such as --fix T=40 (sizes: { T: 40 })',
    );
  }
  if (steps > MOST_STEPS)
    throw missingRule(
      node,
      0,
      `found ${steps} steps, expected at most ${MOST_STEPS}, since its way back is written out step by step`,
    );
}

function directionsFrom(context: RuleContext, b: GraphBuilder, defaults: readonly string[]): Direction[] {
  const {
    node,
    inputs: [x, w, r],
    outputs: [y],
    optional,
    gradients,
    attributes,
  } = context;
  const reversed = directionsOf({ attributes, where: `node ${node.name}` });
  const steps = x.shape[0] as number;
  const hidden = r.shape[2] as number;
  const mask = maskOf(context, b, steps);
  const activations = activationsOf(context, { defaults, directions: reversed.length });
  return reversed.map((isReversed, at): Direction => {
    const part = (value: Value, axis: number): Value =>
      reversed.length === 1 ? value : op.slice(b, value, { starts: [at], ends: [at + 1], axes: [axis] });
    const alone = (value: Value, axis = 0): Value => op.squeeze(b, part(value, axis), [axis]);
    const state = (given: Value | undefined): Value => {
      if (given) return part(given, 0);
      const sizes = op.concat(b, [b.int64([1]), sizesOf(b, x, [1]), b.int64([hidden])], 0);
      return op.expandTo(b, b.scalar(0, x.dtype), sizes);
    };
    const bias = optional(3);
    const after = alone(y, 1);
    const gradient = gradients[0] && masked(b, mask, alone(gradients[0], 1), 0);
    const order = Array.from({ length: steps }, (_, step) => (isReversed ? steps - 1 - step : step));
    return {
      order,
      hidden,
      x,
      w: alone(w),
      r: alone(r),
      biases: bias && (halves(b, alone(bias)) as [Value, Value]),
      before: statesBefore(b, { after, first: state(optional(5)), isReversed, mask }),
      mask,
      gradient,
      lastGradient: gradients[1] && part(gradients[1], 0),
      state,
      gates: activations[at]!.map((activation) => (input: Value) => activation(b, input)),
    };
  });
}

function halves(b: GraphBuilder, bias: Value): Value[] {
  const half = (bias.shape[0] as number) / 2;
  return op.split(b, bias, [half, half], 0);
}

/** Whether step t of sequence n is below its length; undefined where every sequence is known to have all steps. */
function maskOf({ optional }: RuleContext, b: GraphBuilder, steps: number): Value | undefined {
  const lengths = optional(4);
  if (!lengths) return undefined;
  const known = b.constantOf(lengths);
  if (known && Array.from(known.data as Int32Array, Number).every((length) => length === steps)) return undefined;
  const numbers = b.int64(Array.from({ length: steps }, (_, step) => step));
  const inside = op.less(b, op.unsqueeze(b, numbers, [1]), op.cast(b, lengths, 'int64'));
  return op.unsqueeze(b, inside, [2]);
}

interface States {
  readonly after: Value;
  readonly first: Value;
  readonly isReversed: boolean;
  readonly mask: Value | undefined;
}

/** The state that each step starts from: that after its neighbour; the first one at the start of a sequence. */
function statesBefore(b: GraphBuilder, { after, first, isReversed, mask }: States): Value {
  const steps = after.shape[0] as number;
  if (steps === 1) return first;
  const range = isReversed ? { starts: [1], ends: [steps] } : { starts: [0], ends: [steps - 1] };
  const others = op.slice(b, after, { ...range, axes: [0] });
  if (!isReversed) return op.concat(b, [first, others], 0);
  // Shorter sequences begin where they end.
  const inside = mask && op.slice(b, mask, { ...range, axes: [0] });
  return op.concat(b, [inside ? op.where(b, inside, others, first) : others, first], 0);
}
