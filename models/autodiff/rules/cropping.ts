/**
 * @file Slice and Pad, each the way back of the other. In the cases where they are not (steps, reflected borders, ranges
 * known at run time only) the same operator applied to element numbers tells where each element came from.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import { sliceExtent } from '../../onnx/infer/movement.ts';
import * as op from '../../onnx/ops.ts';
import { normalAxis } from '../../onnx/shapes.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { addAtFlat, flatPositions } from '../scatter.ts';
import { reshapeLike } from '../sizes.ts';

/** Where a Slice lies in its input: zeros before and after it per axis, and the axes that it reverses. */
interface Placement {
  readonly pads: readonly number[];
  readonly reversed: readonly number[];
}

/** Undefined if the ranges are not known as numbers, or leave elements out. */
function placementOf({ node, inputs: [x], optional }: RuleContext, b: GraphBuilder): Placement | undefined {
  const numbers = (at: number): readonly number[] | undefined => {
    const input = optional(at);
    const dims = input && b.dimsOf(input);
    return dims?.every((dim) => typeof dim === 'number') ? dims : undefined;
  };
  const [starts, ends] = [numbers(1), numbers(2)];
  const axes = optional(3) ? numbers(3) : starts?.map((_, at) => at);
  const steps = optional(4) ? numbers(4) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) return undefined;
  const rank = x.shape.length;
  const pads = Array.from({ length: 2 * rank }, () => 0);
  const reversed: number[] = [];
  for (const [at, given] of axes.entries()) {
    const axis = normalAxis(given, rank, `node ${node.name}`);
    const length = x.shape[axis]!;
    const step = steps[at]!;
    if (typeof length !== 'number' || Math.abs(step) !== 1) return undefined;
    const { first, count } = sliceExtent(length, starts[at]!, ends[at]!, step);
    const low = step === 1 ? first : first - count + 1;
    pads[axis] = low;
    pads[axis + rank] = length - low - count;
    if (step === -1) reversed.push(axis);
  }
  return { pads, reversed };
}

function reverse(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  if (axes.length === 0) return x;
  const all = (value: number): number[] => axes.map(() => value);
  return op.slice(b, x, { starts: all(-1), ends: all(-op.TO_THE_END), axes, steps: all(-1) });
}

const slice: Rule = (context, b) => {
  const {
    node,
    inputs: [x],
    g,
  } = context;
  return [
    () => {
      const placement = placementOf(context, b);
      if (placement) return op.pad(b, reverse(b, g, placement.reversed), placement.pads);
      const [positions] = b.node('Slice', [flatPositions(b, x), ...node.inputs.slice(1)], node.attributes);
      return addAtFlat(b, g, { positions: positions!, like: x });
    },
    undefined,
    undefined,
    undefined,
    undefined,
  ];
};

const pad: Rule = ({ node, inputs: [x, pads, value], optional, g, attributes }, b) => {
  const mode = attributes.string('mode', 'constant');
  /** What is left of the result without its border. */
  const cropped = (): Value => {
    const dims = b.dimsOf(pads);
    const isKnown = dims?.every((dim) => typeof dim === 'number');
    const inverse = isKnown ? b.int64(dims.map((dim) => -dim)) : op.neg(b, pads);
    return reshapeLike(b, b.node('Pad', [g, inverse, undefined, optional(3)])[0]!, x);
  };
  return [
    () => {
      if (mode === 'constant') return cropped();
      const [positions] = b.node('Pad', [flatPositions(b, x), pads, undefined, optional(3)], node.attributes);
      return addAtFlat(b, g, { positions: positions!, like: x });
    },
    undefined,
    () => {
      const total = (part: Value): Value => op.reduceSum(b, part, { keepdims: false });
      return reshapeLike(b, op.sub(b, total(g), total(cropped())), value);
    },
    undefined,
  ];
};

export const croppingRules: RuleTable = { Slice: slice, Pad: pad };
