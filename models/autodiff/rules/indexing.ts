/**
 * @file Gathering and scattering: each other's way back. What is read twice gets the sum of two cotangents.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { normalAxis } from '../../onnx/shapes.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { missingRule } from '../rule.ts';
import { addAlongAxis, addAtFlat } from '../scatter.ts';
import { keepWhere } from '../select.ts';
import { reshapeLike, sizeOf, sizesOf } from '../sizes.ts';

/** The axes of the indices become one, which takes the place of the axis that was read. */
const gather: Rule = ({ node, inputs: [data, indices], g, attributes }, b) => [
  () => {
    const axis = normalAxis(attributes.int('axis', 0), data.shape.length, `node ${node.name}`);
    const positions = op.reshapeTo(b, indices, b.int64([-1]));
    const rest = data.shape.flatMap((_, at) => (at === axis ? [] : [at]));
    const before = rest.filter((at) => at < axis);
    const after = rest.filter((at) => at > axis);
    const parts = [sizesOfSome(b, data, before), op.shape(b, positions), sizesOfSome(b, data, after)];
    const shape = joined(b, parts);
    const lines = indices.shape.length === 1 ? g : op.reshapeTo(b, g, shape);
    return addAlongAxis(b, lines, { positions, axis, like: data });
  },
  undefined,
];

function sizesOfSome(b: GraphBuilder, x: Value, axes: readonly number[]): Value | undefined {
  return axes.length === 0 ? undefined : sizesOf(b, x, axes);
}

/** Vectors one after the other; a constant if all are. */
function joined(b: GraphBuilder, parts: readonly (Value | undefined)[]): Value {
  const present = parts.filter((part) => part !== undefined);
  const dims = present.flatMap((part) => b.dimsOf(part) ?? ['?']);
  return dims.every((dim) => typeof dim === 'number') ? b.int64(dims) : op.concat(b, present, 0);
}

const gatherElements: Rule = ({ inputs: [data, indices], g, attributes }, b) => [
  () => op.scatterElements(b, op.zerosLike(b, data), indices, g, { axis: attributes.int('axis', 0), reduction: 'add' }),
  undefined,
];

const gatherNd: Rule = ({ inputs: [data, indices], g, attributes }, b) => [
  () => {
    const points = withBatch(b, indices, attributes.int('batch_dims', 0));
    return op.scatterNd(b, op.zerosLike(b, data), points, g, 'add');
  },
  undefined,
];

/** Indices that begin with their own first coordinates, so that no axis of them is a batch any more. */
function withBatch(b: GraphBuilder, indices: Value, batch: number): Value {
  const rank = indices.shape.length;
  const last = rank - 1;
  const axes = Array.from({ length: last }, (_, axis) => axis);
  const sizes = op.concat(b, [axes.length > 0 ? sizesOf(b, indices, axes) : b.int64([]), b.int64([1])], 0);
  const coordinates = axes.slice(0, batch).map((axis) => {
    const counting = op.range(b, b.scalar(0, 'int64'), sizeOf(b, indices, axis), b.scalar(1, 'int64'));
    const others = Array.from({ length: rank }, (_, at) => at).filter((at) => at !== axis);
    return op.expandTo(b, op.unsqueeze(b, counting, others), sizes);
  });
  return op.concat(b, [...coordinates, indices], last);
}

/** Only replacing and adding are linear: a product or an extremum has no rule. */
function isAdding({ node, attributes, needs }: RuleContext): boolean {
  const reduction = attributes.string('reduction', 'none');
  if (reduction !== 'none' && reduction !== 'add') {
    throw missingRule(node, needs(0) ? 0 : 2, `reduction "${reduction}"`);
  }
  return reduction === 'add';
}

/** Elements that are replaced lose their cotangent, those that are added to keep it. */
const scatterNd: Rule = (context, b) => {
  const {
    inputs: [, indices, updates],
    g,
  } = context;
  const adds = isAdding(context);
  return [
    () => (adds ? g : op.scatterNd(b, g, indices, op.zerosLike(b, updates))),
    undefined,
    () => op.gatherNd(b, g, indices),
  ];
};

const scatterElements: Rule = (context, b) => {
  const {
    inputs: [, indices, updates],
    g,
    attributes,
  } = context;
  const axis = attributes.int('axis', 0);
  const adds = isAdding(context);
  return [
    () => (adds ? g : op.scatterElements(b, g, indices, op.zerosLike(b, updates), { axis })),
    undefined,
    () => op.gatherElements(b, g, indices, axis),
  ];
};

const topK: Rule = ({ inputs: [x], outputs: [, indices], g, attributes }, b) => [
  () => op.scatterElements(b, op.zerosLike(b, x), indices, g, { axis: attributes.int('axis', -1), reduction: 'add' }),
  undefined,
];

/** Each element is one of two values: they get the sums of the cotangents there and everywhere else. */
const oneHot: Rule = ({ node, inputs: [indices, depth], g }, b) => [
  undefined,
  undefined,
  () => {
    // onnxruntime has kernels for few combinations of types.
    const wholes = [indices, depth].map((value) => op.cast(b, value, 'int64'));
    const [hot] = b.node('OneHot', [...wholes, b.int64([0, 1])], node.attributes);
    const total = (value: Value): Value => op.reshape(b, op.reduceSum(b, value, { keepdims: false }), [1]);
    const on = total(keepWhere(b, op.cast(b, hot!, 'bool'), g));
    return op.concat(b, [op.sub(b, total(g), on), on], 0);
  },
];

/** start + k delta: how many elements there are is no matter of gradients. */
const range: Rule = ({ inputs: [start, , delta], outputs: [y], g }, b) => {
  // A single number may come as a vector of one.
  const total = (x: Value, like: Value): Value => op.reduceSum(b, x, { axes: [0], keepdims: like.shape.length === 1 });
  return [
    () => total(g, start),
    undefined,
    () => {
      const ones = op.expandTo(b, b.scalar(1, y.dtype), op.shape(b, y));
      return total(op.mul(b, g, op.cumSum(b, ones, 0, { exclusive: true })), delta);
    },
  ];
};

/** Every element at the place that its number says, in row-major order. */
const maxUnpool: Rule = ({ inputs: [x, places], g }, b) => [
  () => reshapeLike(b, op.gather(b, op.reshapeTo(b, g, b.int64([-1])), places), x),
  undefined,
  undefined,
];

/** What is there more than once is taken from its first place. */
const unique: Rule = ({ node, inputs: [x], g, attributes }, b) => [
  () => {
    const positions = node.outputs[1] ?? b.node('Unique', [x], node.attributes, 2)[1]!;
    if (!attributes.has('axis')) return addAtFlat(b, g, { positions, like: x });
    return addAlongAxis(b, g, { positions, axis: attributes.int('axis', 0), like: x });
  },
];

export const indexingRules: RuleTable = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterND: scatterNd,
  ScatterElements: scatterElements,
  TopK: topK,
  OneHot: oneHot,
  Range: range,
  MaxUnpool: maxUnpool,
  Unique: unique,
};
