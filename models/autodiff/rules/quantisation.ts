/**
 * @file Quantised numbers. Rounding has no useful derivative: a gradient through it is refused, or, if asked for, passed
 * through as if nothing were rounded (straight through; Bengio et al. 2013, arXiv 1308.3432), but for numbers beyond the
 * range of the integers, which do not move the result. Cotangents of quantised numbers are real numbers.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { DType } from '../../onnx/dtype.ts';
import type { Node, Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { normalAxis } from '../../onnx/shapes.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { missingRule } from '../rule.ts';
import { unbroadcast } from '../broadcast.ts';
import { keepWhere } from '../select.ts';
import { reshapeLike } from '../sizes.ts';

/** Smallest and largest number of a type. */
const RANGES: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

/** A parameter (one number, or one per place along the node's axis) against all axes of x. */
function alongAxis(b: GraphBuilder, parameter: Value, { node, inputs: [x], attributes }: RuleContext): Value {
  if (parameter.shape.length === 0) return parameter;
  if (parameter.shape[0] === 1) return op.reshape(b, parameter, []);
  const axis = normalAxis(attributes.int('axis', 1), x.shape.length, `node ${node.name}`);
  return op.unsqueeze(
    b,
    parameter,
    x.shape.flatMap((_, at) => (at === axis ? [] : [at])),
  );
}

function zeroPoint(b: GraphBuilder, context: RuleContext, dtype: DType): Value {
  const given = context.optional(2);
  return given ? op.cast(b, alongAxis(b, given, context), dtype) : b.scalar(0, dtype);
}

/** The cotangent of a parameter from that of each element. */
function parameterCotangent(b: GraphBuilder, g: Value, parameter: Value, context: RuleContext): Value {
  return reshapeLike(b, unbroadcast(b, g, alongAxis(b, parameter, context)), parameter);
}

/** y = (x - zero) scale */
const dequantize: Rule = (context, b) => {
  const {
    inputs: [x, scale],
    g,
  } = context;
  return [
    () => op.mul(b, g, alongAxis(b, scale, context)),
    () => {
      const steps = op.sub(b, op.cast(b, x, g.dtype), zeroPoint(b, context, g.dtype));
      return parameterCotangent(b, op.mul(b, g, steps), scale, context);
    },
    undefined,
  ];
};

/** y = round(x / scale) + zero, held inside the range of its type: straight through the rounding, not through the range. */
export const straightThrough: Rule = (context, b) => {
  const {
    node,
    inputs: [x, scale],
    outputs: [y],
    g,
  } = context;
  const range = RANGES[y.dtype];
  if (!range) throw missingRule(node, 0, `numbers of type ${y.dtype}`);
  const wide = alongAxis(b, scale, context);
  const rounded = op.add(b, b.node('Round', [op.div(b, x, wide)])[0]!, zeroPoint(b, context, x.dtype));
  const [low, high] = range.map((bound) => b.scalar(bound, x.dtype));
  const isInside = op.and(b, op.lessOrEqual(b, low!, rounded), op.lessOrEqual(b, rounded, high!));
  const kept = keepWhere(b, isInside, op.div(b, g, wide));
  return [
    () => kept,
    () => parameterCotangent(b, op.neg(b, op.mul(b, kept, op.div(b, x, wide))), scale, context),
    undefined,
  ];
};

/** Operators that move quantised numbers without changing them: their rules hold for real cotangents as well. */
const MOVING = new Set(['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Concat', 'Cast']);

/** Whether an operator makes whole numbers that stand for real ones. */
export function isQuantiser({ op, domain }: Node): boolean {
  return domain === '' && (op === 'QuantizeLinear' || op === 'DynamicQuantizeLinear');
}

const refusing =
  (why: string): Rule =>
  ({ node, needs }) => {
    throw missingRule(node, Math.max(0, [...node.inputs.keys()].findIndex(needs)), why);
  };

const integerArithmetic = refusing(
  'it computes with rounded numbers; only pairs of QuantizeLinear and DequantizeLinear can be passed straight through',
);

export const quantisationRules: RuleTable = {
  DequantizeLinear: dequantize,
  QuantizeLinear: refusing(
    'rounding ends the gradient; --straight-through (straightThrough: true) passes it on as if nothing were rounded',
  ),
  DynamicQuantizeLinear: integerArithmetic,
  MatMulInteger: integerArithmetic,
  ConvInteger: integerArithmetic,
  QLinearMatMul: integerArithmetic,
  QLinearConv: integerArithmetic,
};

/** Whether the rule of an operator knows what to do where the operator reads quantised numbers. */
export function knowsQuantised({ op, domain }: Node): boolean {
  return domain === '' && (Object.hasOwn(quantisationRules, op) || MOVING.has(op));
}
