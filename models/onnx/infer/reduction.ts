/**
 * @file Inference of reductions and normalisations.
 */
import type { Dim } from '../shapes.ts';
import { dimProduct, unknownDim } from '../shapes.ts';
import type { InferContext, Inferred, InferRule } from './rule.ts';
import { axisOf, expectEqual, numbersOf, problem, rankOf, required, sameType } from './context.ts';

/** Axes of a reduction: an input since operator set 13 or 18, an attribute before. */
function reducedAxes(context: InferContext): readonly number[] | 'unknown' {
  const rank = required(context, 0).shape.length;
  const given = context.attributes.ints('axes') ?? numbersOf(context, 1);
  if (given === 'unknown') return 'unknown';
  if (given === undefined || given.length === 0) {
    return context.attributes.int('noop_with_empty_axes', 0) === 1
      ? []
      : Array.from({ length: rank }, (_, axis) => axis);
  }
  return given.map((axis) => axisOf(context, axis, rank));
}

const reduce: InferRule = (context) => {
  const x = required(context, 0);
  const axes = reducedAxes(context);
  const keeps = context.attributes.int('keepdims', 1) === 1;
  if (axes === 'unknown') {
    if (!keeps)
      throw problem(context, 'the rank of the result is not known: axes are known at run time only and keepdims is 0');
    return [{ dtype: x.dtype, shape: x.shape.map((dim) => (dim === 1 ? 1 : unknownDim())) }];
  }
  const shape = keeps
    ? x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
    : x.shape.filter((_, axis) => !axes.includes(axis));
  return [{ dtype: x.dtype, shape, dims: followProduct(context, axes) }];
};

/** A product of all sizes: how exporters write the number of elements. */
function followProduct(context: InferContext, axes: readonly number[]): readonly Dim[] | undefined {
  const x = required(context, 0);
  const dims = context.op === 'ReduceProd' && x.shape.length === 1 && axes.length === 1 ? context.dims(x) : undefined;
  return dims && [dimProduct(dims)];
}

const argReduce: InferRule = (context) => {
  const x = required(context, 0);
  const axis = axisOf(context, context.attributes.int('axis', 0), x.shape.length);
  const keeps = context.attributes.int('keepdims', 1) === 1;
  const shape = keeps ? x.shape.map((dim, at) => (at === axis ? 1 : dim)) : x.shape.filter((_, at) => at !== axis);
  return [{ dtype: 'int64', shape }];
};

/** Y, and if asked for the mean and the inverse deviation of every normalised group. */
const layerNormalization: InferRule = (context) => {
  const x = required(context, 0);
  const axis = axisOf(context, context.attributes.int('axis', -1), x.shape.length);
  const scale = required(context, 1);
  sameType(context, [x, scale]);
  for (const at of context.inputs[2] ? [1, 2] : [1]) {
    const what = at === 1 ? 'scale' : 'bias';
    const { shape } = required(context, at);
    shape.forEach((dim, place) => {
      const against = x.shape[x.shape.length - shape.length + place];
      if (against === undefined) throw problem(context, `the ${what} has more axes than the input`);
      if (dim !== 1) expectEqual(context, dim, against, `size of the ${what} and of the normalised axes`);
    });
  }
  const statistics = x.shape.map((dim, at): Dim => (at >= axis ? 1 : dim));
  const outputs: Inferred[] = [
    { dtype: x.dtype, shape: x.shape },
    { dtype: 'float32', shape: statistics },
    { dtype: 'float32', shape: statistics },
  ];
  return outputs.slice(0, context.outputs);
};

/** Output like X, scale and bias one number per channel. */
const channelNormalization: InferRule = (context) => {
  const x = required(context, 0);
  const channels = x.shape[1];
  if (channels === undefined) throw problem(context, 'the input needs a channel axis');
  const parameters = context.op === 'BatchNormalization' ? 4 : 2;
  for (let at = 1; at <= parameters; at += 1) {
    const parameter = rankOf(context, at, 1);
    // Of batch normalisation the statistics may be of another type.
    if (context.op !== 'BatchNormalization') sameType(context, [x, parameter]);
    expectEqual(context, parameter.shape[0] ?? 1, channels, `size of input ${at} and number of channels`);
  }
  const groups = context.attributes.int('num_groups', 1);
  if (typeof channels === 'number' && channels % groups !== 0) {
    throw problem(context, `${channels} channels cannot be divided into ${groups} groups`);
  }
  const outputs: Inferred[] = [{ dtype: x.dtype, shape: x.shape }];
  // In training: the running mean and variance, one number per channel.
  if (context.op === 'BatchNormalization' && context.attributes.int('training_mode', 0) === 1) {
    outputs.push(
      { dtype: context.inputs[3]!.dtype, shape: [channels] },
      { dtype: context.inputs[4]!.dtype, shape: [channels] },
    );
  }
  return outputs;
};

const REDUCTIONS = [
  'ReduceSum',
  'ReduceMean',
  'ReduceMax',
  'ReduceMin',
  'ReduceProd',
  'ReduceL1',
  'ReduceL2',
  'ReduceSumSquare',
  'ReduceLogSum',
  'ReduceLogSumExp',
];

export const reductionRules: Readonly<Record<string, InferRule>> = {
  ...Object.fromEntries(REDUCTIONS.map((op) => [op, reduce])),
  ArgMax: argReduce,
  ArgMin: argReduce,
  LayerNormalization: layerNormalization,
  RMSNormalization: layerNormalization,
  GroupNormalization: channelNormalization,
  InstanceNormalization: channelNormalization,
  BatchNormalization: channelNormalization,
};
