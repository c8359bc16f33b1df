/**
 * @file Reductions: the cotangent of the result is repeated along the reduced axes and weighted element by element.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import { int } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { normalAxis } from '../../onnx/shapes.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { lazy } from '../rule.ts';
import { keepWhere } from '../select.ts';
import { expandLike } from '../sizes.ts';

interface Reduction {
  readonly x: Value;
  /** The result and its cotangent with reduced axes kept at size 1. */
  readonly y: Value;
  readonly g: Value;
  /** The same reduction of another value, axes kept. */
  readonly again: (op: string, value: Value) => Value;
}

/** Axes of the node: an input, or an attribute in older operator sets; undefined if known at run time only. */
function axesOf({ node, inputs: [x], optional, attributes }: RuleContext, b: GraphBuilder): number[] | undefined {
  const rank = x.shape.length;
  const input = optional(1);
  const dims = input ? b.dimsOf(input) : undefined;
  if (input && !dims?.every((dim) => typeof dim === 'number')) return undefined;
  const given = (dims as readonly number[] | undefined) ?? attributes.ints('axes') ?? [];
  if (given.length > 0) return given.map((axis) => normalAxis(axis, rank, `node ${node.name}`));
  return attributes.int('noop_with_empty_axes', 0) === 1 ? [] : x.shape.map((_, axis) => axis);
}

/** A rule that is a function of x, y and g with the reduced axes in place. */
const reducing =
  (cotangent: (reduction: Reduction, b: GraphBuilder) => Value): Rule =>
  (context, b) => {
    const {
      inputs: [x],
      outputs: [y],
      g,
      attributes,
    } = context;
    return [
      () => {
        const axes = axesOf(context, b);
        const keeps = attributes.int('keepdims', 1) === 1;
        const restore = (value: Value): Value => (keeps ? value : op.unsqueeze(b, value, axes ?? []));
        const again = (name: string, value: Value): Value => {
          const input = axes ? (axes.length === 0 ? undefined : b.int64(axes)) : context.optional(1);
          return b.node(name, [value, input], { keepdims: int(1), noop_with_empty_axes: int(1) })[0]!;
        };
        const kept = lazy(() => restore(y));
        const reduction: Reduction = {
          x,
          get y() {
            return kept();
          },
          g: restore(g),
          again,
        };
        return expandLike(b, cotangent(reduction, b), x);
      },
      undefined,
    ];
  };

/** Equal extremes share the cotangent. */
const extremum = reducing(({ x, y, g, again }, b) => {
  const hit = op.equal(b, x, y);
  const count = again('ReduceSum', op.cast(b, hit, x.dtype));
  return keepWhere(b, hit, op.div(b, g, count));
});

/** Zero where the divisor is zero. */
function safeDivide(b: GraphBuilder, x: Value, y: Value): Value {
  const isZero = op.equal(b, y, b.scalar(0, y.dtype));
  return op.div(b, op.where(b, isZero, b.scalar(0, x.dtype), x), op.where(b, isZero, b.scalar(1, y.dtype), y));
}

/** Product of all others: with one zero only that one has a derivative, with two none has. */
const product = reducing(({ x, g, again }, b) => {
  const zero = b.scalar(0, x.dtype);
  const one = b.scalar(1, x.dtype);
  const isZero = op.equal(b, x, zero);
  const factors = op.where(b, isZero, one, x);
  const zeros = again('ReduceSum', op.cast(b, isZero, x.dtype));
  const othersZero = op.sub(b, zeros, op.cast(b, isZero, x.dtype));
  const others = op.div(b, again('ReduceProd', factors), factors);
  return op.mul(b, g, keepWhere(b, op.equal(b, othersZero, zero), others));
});

export const reductionRules: RuleTable = {
  ReduceSum: reducing(({ g }) => g),
  ReduceMean: reducing(({ x, g }, b) => op.div(b, g, countAlong(b, x, g))),
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceProd: product,
  ReduceL1: reducing(({ x, g }, b) => op.mul(b, g, op.sign(b, x))),
  ReduceL2: reducing(({ x, y, g }, b) => op.mul(b, x, safeDivide(b, g, y))),
  ReduceSumSquare: reducing(({ x, g }, b) => op.mul(b, x, op.mulScalar(b, g, 2))),
  ReduceLogSum: reducing(({ y, g }, b) => op.div(b, g, op.exp(b, y))),
  ReduceLogSumExp: reducing(({ x, y, g }, b) => op.mul(b, g, op.exp(b, op.sub(b, x, y)))),
};

/** Number of elements behind each element of the result: a quotient of sizes. */
function countAlong(b: GraphBuilder, x: Value, g: Value): Value {
  const sizes = x.shape.map((dim, axis) => (dim === g.shape[axis] ? 1 : dim));
  // Of axes that only run time knows a size of the result may be that of x.
  const isKnown = x.shape.every((dim, axis) => dim === g.shape[axis] || g.shape[axis] === 1);
  if (isKnown && sizes.every((dim) => typeof dim === 'number')) {
    return b.scalar(
      sizes.reduce((count, dim) => count * dim, 1),
      x.dtype,
    );
  }
  const total = (value: Value): Value => op.cast(b, b.node('Size', [value])[0]!, x.dtype);
  return op.div(b, total(x), total(g));
}
