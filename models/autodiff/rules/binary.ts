/**
 * @file Arithmetic, selection and bounds of several values, broadcast against each other.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { unbroadcast } from '../broadcast.ts';
import type { Contribution, Rule, RuleContext, RuleTable } from '../rule.ts';
import { lazy } from '../rule.ts';
import { dropWhere, keepWhere } from '../select.ts';

/** A contribution to every input, of which there may be any number. */
const each =
  (contribution: (context: RuleContext, b: GraphBuilder, x: Value) => Value): Rule =>
  (context, b) =>
    context.inputs.map(
      (x): Contribution =>
        () =>
          unbroadcast(b, contribution(context, b, x), x),
    );

/** Of Max or Min: the cotangent goes to the input that was taken, the first of equal ones. */
const extremum: Rule = ({ inputs, outputs: [y], g }, b) => {
  // Elements that are not taken by the inputs before this one.
  const free: (() => Value | undefined)[] = [() => undefined];
  const taken: (() => Value)[] = [];
  inputs.forEach((x, at) => {
    taken.push(
      lazy(() => {
        const hit = op.equal(b, x, y);
        const rest = free[at]!();
        return rest ? op.and(b, hit, rest) : hit;
      }),
    );
    free.push(
      lazy(() => {
        const others = op.not(b, op.equal(b, x, y));
        const rest = free[at]!();
        return rest ? op.and(b, others, rest) : others;
      }),
    );
  });
  return inputs.map((x, at): Contribution => {
    const isLast = at === inputs.length - 1;
    return () => {
      const mine = (isLast && free[at]!()) || taken[at]!();
      return unbroadcast(b, keepWhere(b, mine, g), x);
    };
  });
};

/** d x^e / dx = e x^(e-1), and 0 for e = 0 also at x = 0. */
function powerDerivative(b: GraphBuilder, x: Value, y: Value, exponent: Value): Value {
  const constant = b.constantOf(exponent);
  if (constant?.data.length === 1) {
    const e = Number(constant.data[0]);
    if (e === 0) return b.scalar(0, x.dtype);
    if (e === 1) return b.scalar(1, x.dtype);
    if (e === 2) return op.mulScalar(b, x, 2);
    if (e === 3) return op.mulScalar(b, op.mul(b, x, x), 3);
    if (e === 0.5) return op.div(b, b.scalar(0.5, x.dtype), y);
    return op.mulScalar(b, op.pow(b, x, b.scalar(e - 1, x.dtype)), e);
  }
  const e = op.cast(b, exponent, x.dtype);
  const derivative = op.mul(b, e, op.pow(b, x, op.subScalar(b, e, 1)));
  return dropWhere(b, op.equal(b, e, b.scalar(0, x.dtype)), derivative);
}

/** d x^e / de = x^e ln x; 0 at x = 0, not a number below. */
function exponentDerivative(b: GraphBuilder, x: Value, y: Value): Value {
  const isZero = op.equal(b, x, b.scalar(0, x.dtype));
  return op.mul(b, y, op.log(b, op.where(b, isZero, b.scalar(1, x.dtype), x)));
}

/**
 * x sigma(a x) (SiLU, QuickGelu) in closed form, half the passes of its parts: y' = s + a y (1 - s). The whole derivative
 * goes to x directly, nothing to the sigmoid (input `at`).
 */
function sigmoidGate(
  { inputs, outputs: [y], g, producerOf }: RuleContext,
  b: GraphBuilder,
): { readonly at: 0 | 1; readonly contribution: () => Value } | undefined {
  for (const at of [0, 1] as const) {
    const [s, x] = [inputs[at], inputs[1 - at]!];
    const sigmoid = producerOf(s);
    const inner = sigmoid?.op === 'Sigmoid' ? sigmoid.inputs[0] : undefined;
    const factor = inner && scaleOf(b, inner, { of: x, producerOf });
    if (factor === undefined) continue;
    const contribution = (): Value => {
      const scaled = factor === 1 ? s : op.mulScalar(b, s, factor);
      const rest = op.mul(b, y, op.sub(b, b.scalar(factor, s.dtype), scaled));
      return op.mul(b, g, op.add(b, s, rest));
    };
    return { at, contribution };
  }
  return undefined;
}

/** a where value = a x with a number a, else undefined. */
function scaleOf(
  b: GraphBuilder,
  value: Value,
  { of: x, producerOf }: { readonly of: Value; readonly producerOf: RuleContext['producerOf'] },
): number | undefined {
  if (value === x) return 1;
  const product = producerOf(value);
  if (product?.op !== 'Mul' || !product.inputs.includes(x)) return undefined;
  const other = product.inputs.find((input) => input !== x);
  const constant = other && other.shape.length === 0 ? b.constantOf(other) : undefined;
  return constant && Number(constant.data[0]);
}

export const binaryRules: RuleTable = {
  Add: ({ inputs: [x, y], g }, b) => [() => unbroadcast(b, g, x), () => unbroadcast(b, g, y)],
  Sub: ({ inputs: [x, y], g }, b) => [() => unbroadcast(b, g, x), () => op.neg(b, unbroadcast(b, g, y))],
  Mul: (context, b) => {
    const {
      inputs: [x, y],
      g,
    } = context;
    const gate = sigmoidGate(context, b);
    if (gate) return gate.at === 0 ? [undefined, gate.contribution] : [gate.contribution, undefined];
    return [() => unbroadcast(b, op.mul(b, g, y), x), () => unbroadcast(b, op.mul(b, g, x), y)];
  },
  Div: ({ inputs: [x, y], outputs: [quotient], g }, b) => {
    const scaled = lazy(() => op.div(b, g, y));
    return [() => unbroadcast(b, scaled(), x), () => op.neg(b, unbroadcast(b, op.mul(b, scaled(), quotient), y))];
  },
  /** x - n y with a whole number n, whichever way it was rounded. */
  Mod: ({ inputs: [x, y], outputs: [rest], g }, b) => [
    () => unbroadcast(b, g, x),
    () => {
      const n = b.node('Round', [op.div(b, op.sub(b, x, rest), y)])[0]!;
      return op.neg(b, unbroadcast(b, op.mul(b, g, n), y));
    },
  ],
  Pow: ({ inputs: [x, exponent], outputs: [y], g }, b) => [
    () => unbroadcast(b, op.mul(b, g, powerDerivative(b, x, y, exponent)), x),
    // The exponent may be of another type.
    () => unbroadcast(b, op.cast(b, op.mul(b, g, exponentDerivative(b, x, y)), exponent.dtype), exponent),
  ],
  Sum: each(({ g }) => g),
  Mean: each(({ g, inputs }, b) => op.mulScalar(b, g, 1 / inputs.length)),

  Min: extremum,
  Max: extremum,
  Where: ({ inputs: [condition, x, y], g }, b) => [
    undefined,
    () => unbroadcast(b, keepWhere(b, condition, g), x),
    () => unbroadcast(b, dropWhere(b, condition, g), y),
  ],
  /** x is unchanged exactly where it lies within its bounds. */
  Clip: ({ inputs: [x, low, high], outputs: [y], optional, g }, b) => [
    () => keepWhere(b, op.equal(b, x, y), g),
    () => {
      // Of bounds that cross the upper one is the result.
      const isBelow = op.less(b, x, low);
      const counts = optional(2) ? op.and(b, isBelow, op.less(b, low, high)) : isBelow;
      return unbroadcast(b, keepWhere(b, counts, g), low);
    },
    () => {
      const isAbove = op.greater(b, optional(1) ? op.max(b, x, low) : x, high);
      return unbroadcast(b, keepWhere(b, isAbove, g), high);
    },
  ],
};
