/**
 * @file Inference of gathering, scattering and selecting.
 */
import type { Dim } from '../shapes.ts';
import { formatShape, unknownDim } from '../shapes.ts';
import type { Value } from '../graph.ts';
import type { InferContext, InferRule } from './rule.ts';
import { axisOf, expectEqual, numbersOf, problem, required, sameType } from './context.ts';

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

/** As many axes as the data, none of them longer but along `axis`; the axis exists. */
function checkElementwise(context: InferContext, indices: Value): void {
  const data = required(context, 0);
  const axis = axisOf(context, context.attributes.int('axis', 0), data.shape.length);
  const fits =
    indices.shape.length === data.shape.length &&
    indices.shape.every((size, at) => {
      const most = data.shape[at]!;
      return at === axis || typeof size === 'string' || typeof most === 'string' || size <= most;
    });
  if (fits) return;
  const [found, expected] = [indices.shape, data.shape].map(formatShape);
  throw problem(context, `the indices have shape ${found}, which does not fit data of ${expected}`);
}

const gatherElements: InferRule = (context) => {
  const [data, indices] = [required(context, 0), required(context, 1)];
  checkElementwise(context, indices);
  return [{ dtype: data.dtype, shape: indices.shape }];
};

const gatherNd: InferRule = (context) => {
  const [data, indices] = [required(context, 0), required(context, 1)];
  const batch = context.attributes.int('batch_dims', 0);
  const depth = indices.shape.at(-1);
  if (typeof depth !== 'number')
    throw problem(context, `the last axis of the indices ${formatShape(indices.shape)} must be known`);
  if (batch < 0 || batch >= Math.min(data.shape.length, indices.shape.length))
    throw problem(context, `batch_dims ${batch} does not fit indices of ${formatShape(indices.shape)}`);
  return [{ dtype: data.dtype, shape: [...indices.shape.slice(0, -1), ...behind(context, batch + depth)] }];
};

/** Sizes of the data behind the axes that the indices name. */
function behind(context: InferContext, named: number): readonly Dim[] {
  const { shape } = required(context, 0);
  if (named > shape.length) throw problem(context, `the indices name ${named} axes of data of ${formatShape(shape)}`);
  return shape.slice(named);
}

/** Whether the sizes may be equal at run time. */
function expectShape(context: InferContext, { shape }: Value, expected: readonly Dim[], what: string): void {
  if (shape.length !== expected.length)
    throw problem(context, `the ${what} have shape ${formatShape(shape)}, expected ${formatShape(expected)}`);
  expected.forEach((size, axis) => expectEqual(context, shape[axis]!, size, `axis ${axis} of the ${what}`));
}

const scatterNd: InferRule = (context) => {
  const [data, indices, updates] = [required(context, 0), required(context, 1), required(context, 2)];
  sameType(context, [data, updates]);
  const depth = indices.shape.at(-1);
  if (typeof depth === 'number')
    expectShape(context, updates, [...indices.shape.slice(0, -1), ...behind(context, depth)], 'updates');
  return [{ dtype: data.dtype, shape: data.shape }];
};

const scatterElements: InferRule = (context) => {
  const [data, indices, updates] = [required(context, 0), required(context, 1), required(context, 2)];
  sameType(context, [data, updates]);
  checkElementwise(context, indices);
  expectShape(context, updates, indices.shape, 'updates');
  return [{ dtype: data.dtype, shape: data.shape }];
};

const oneHot: InferRule = (context) => {
  const [indices, , values] = [required(context, 0), required(context, 1), required(context, 2)];
  if (values.shape.length !== 1 || (typeof values.shape[0] === 'number' && values.shape[0] !== 2))
    throw problem(context, `the values have shape ${formatShape(values.shape)}, expected [2]`);
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
  ScatterND: scatterNd,
  ScatterElements: scatterElements,
  OneHot: oneHot,
  TopK: topK,
  Compress: compress,
};
