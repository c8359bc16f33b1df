/**
 * @file Inference of gathering, scattering and selecting.
 */
import type { Dim } from '../shapes.ts';
import { formatShape, unknownDim } from '../shapes.ts';
import type { InferRule } from './rule.ts';
import { axisOf, numbersOf, problem, required, sameType } from './context.ts';

const gather: InferRule = (context) => {
  const [data, indices] = [required(context, 0), required(context, 1)];
  const axis = axisOf(context, context.attributes.int('axis', 0), data.shape.length);
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
  const elements = context.dims(data);
  const picked = context.dims(indices);
  const dims =
    elements && data.shape.length === 1 && picked?.every((at) => typeof at === 'number')
      ? picked.map((at) => elements[at < 0 ? at + elements.length : at])
      : undefined;
  if (dims?.some((dim) => dim === undefined))
    throw problem(context, `an index is outside an axis of ${elements?.length ?? 0} elements`);
  return [{ dtype: data.dtype, shape, dims: dims as Dim[] | undefined }];
};

const gatherElements: InferRule = (context) => [
  { dtype: required(context, 0).dtype, shape: required(context, 1).shape },
];

const gatherNd: InferRule = (context) => {
  const [data, indices] = [required(context, 0), required(context, 1)];
  const batch = context.attributes.int('batch_dims', 0);
  const depth = indices.shape.at(-1);
  if (typeof depth !== 'number')
    throw problem(context, `the last axis of the indices ${formatShape(indices.shape)} must be known`);
  return [{ dtype: data.dtype, shape: [...indices.shape.slice(0, -1), ...data.shape.slice(batch + depth)] }];
};

const scatter: InferRule = (context) => {
  const data = required(context, 0);
  sameType(context, [data, required(context, 2)]);
  return [{ dtype: data.dtype, shape: data.shape }];
};

const oneHot: InferRule = (context) => {
  const [indices, , values] = [required(context, 0), required(context, 1), required(context, 2)];
  const rank = indices.shape.length + 1;
  const axis = axisOf(context, context.attributes.int('axis', -1), rank);
  const depth = numbersOf(context, 1);
  const size = Array.isArray(depth) ? (depth[0] as number) : unknownDim();
  return [{ dtype: values.dtype, shape: [...indices.shape.slice(0, axis), size, ...indices.shape.slice(axis)] }];
};

const topK: InferRule = (context) => {
  const x = required(context, 0);
  const axis = axisOf(context, context.attributes.int('axis', -1), x.shape.length);
  const k = numbersOf(context, 1);
  const size = Array.isArray(k) ? (k[0] as number) : unknownDim();
  const shape = x.shape.map((dim, at) => (at === axis ? size : dim));
  return [
    { dtype: x.dtype, shape },
    { dtype: 'int64', shape },
  ];
};

const compress: InferRule = (context) => {
  const x = required(context, 0);
  if (!context.attributes.has('axis')) return [{ dtype: x.dtype, shape: [unknownDim()] }];
  const axis = axisOf(context, context.attributes.int('axis', 0), x.shape.length);
  return [{ dtype: x.dtype, shape: x.shape.map((dim, at) => (at === axis ? unknownDim() : dim)) }];
};

export const indexingRules: Readonly<Record<string, InferRule>> = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterND: scatter,
  ScatterElements: scatter,
  OneHot: oneHot,
  TopK: topK,
  Compress: compress,
};
