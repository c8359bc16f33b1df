/**
 * @file Inference of operators of detectors and of other operators whose sizes depend on contents.
 */
import type { Dim } from '../shapes.ts';
import { formatShape, unknownDim } from '../shapes.ts';
import { axisOf, expectEqual, problem, rankOf, required, sameType } from './context.ts';
import { windowOf } from './products.ts';
import type { Inferred, InferRule } from './rule.ts';
import { sizesOf } from './shape.ts';

/** Boxes [N, boxes, 4] and scores [N, classes, boxes] -> [chosen, 3]: image, class and box. */
const nonMaxSuppression: InferRule = (context) => {
  const [boxes, scores] = [rankOf(context, 0, 3), rankOf(context, 1, 3)];
  expectEqual(context, boxes.shape[0]!, scores.shape[0]!, 'batch of the boxes and of the scores');
  expectEqual(context, boxes.shape[1]!, scores.shape[2]!, 'number of boxes and of scores');
  expectEqual(context, boxes.shape[2]!, 4, 'numbers of a box');
  return [{ dtype: 'int64', shape: [unknownDim(), 3] }];
};

/** X [N, C, H, W], regions [R, 4], images [R] -> [R, C, output_height, output_width]. */
const roiAlign: InferRule = (context) => {
  const [x, regions, images] = [rankOf(context, 0, 4), rankOf(context, 1, 2), rankOf(context, 2, 1)];
  sameType(context, [x, regions]);
  expectEqual(context, regions.shape[1]!, 4, 'numbers of a region');
  expectEqual(context, regions.shape[0]!, images.shape[0]!, 'number of regions and of their images');
  const size = (name: string): number => context.attributes.int(name, 1);
  return [{ dtype: x.dtype, shape: [regions.shape[0]!, x.shape[1]!, size('output_height'), size('output_width')] }];
};

/** X [N, C, H, W], W [M, C/group, kH, kW], offsets [N, 2 kH kW groups, oH, oW], whose sizes are those of the result. */
const deformConv: InferRule = (context) => {
  const [x, w, offsets] = [rankOf(context, 0, 4), rankOf(context, 1, 4), rankOf(context, 2, 4)];
  sameType(context, [x, w, offsets]);
  expectEqual(context, x.shape[0]!, offsets.shape[0]!, 'batch of the images and of the offsets');
  return [{ dtype: x.dtype, shape: [x.shape[0]!, w.shape[0]!, ...offsets.shape.slice(2)] }];
};

/** The elements of a MaxPool, each at the place that it came from. */
const maxUnpool: InferRule = (context) => {
  const [x, places] = [required(context, 0), required(context, 1)];
  if (x.shape.length !== places.shape.length)
    throw problem(context, `values ${formatShape(x.shape)} and places ${formatShape(places.shape)} differ in rank`);
  if (context.inputs[2]) {
    const shape = sizesOf(context, 2);
    if (shape.length !== x.shape.length) throw problem(context, `${shape.length} sizes, expected ${x.shape.length}`);
    return [{ dtype: x.dtype, shape }];
  }
  const kernel = context.attributes.ints('kernel_shape');
  if (kernel?.length !== x.shape.length - 2)
    throw problem(context, `kernel_shape [${kernel?.join(', ') ?? ''}] does not fit input ${formatShape(x.shape)}`);
  const { strides, pads } = windowOf(context, kernel, x.shape.slice(2));
  const spatial = kernel.map((size, axis): Dim => {
    const length = x.shape[axis + 2]!;
    const padding = pads[axis]! + pads[axis + kernel.length]!;
    return typeof length === 'number' ? (length - 1) * strides[axis]! + size - padding : unknownDim();
  });
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...spatial] }];
};

/** Elements, or slices along an axis, each once; where they were first, which one each is, how often. */
const unique: InferRule = (context) => {
  const x = required(context, 0);
  const { attributes } = context;
  const count = unknownDim();
  const axis = attributes.has('axis') ? axisOf(context, attributes.int('axis', 0), x.shape.length) : undefined;
  const shape = axis === undefined ? [count] : x.shape.map((dim, at) => (at === axis ? count : dim));
  const outputs: Inferred[] = [
    { dtype: x.dtype, shape },
    { dtype: 'int64', shape: [count] },
    { dtype: 'int64', shape: [axis === undefined ? unknownDim() : x.shape[axis]!] },
    { dtype: 'int64', shape: [count] },
  ];
  return outputs.slice(0, context.outputs);
};

/** One sequence per batch entry, its first elements turned round. */
const reverseSequence: InferRule = (context) => {
  const x = required(context, 0);
  const lengths = rankOf(context, 1, 1);
  const [time, batch] = [context.attributes.int('time_axis', 0), context.attributes.int('batch_axis', 1)];
  if (x.shape.length < 2 || time === batch || time + batch !== 1)
    throw problem(context, `time_axis ${time} and batch_axis ${batch} of ${formatShape(x.shape)}: expected 0 and 1`);
  expectEqual(context, lengths.shape[0]!, x.shape[batch]!, 'number of lengths and of sequences');
  return [{ dtype: x.dtype, shape: x.shape }];
};

/** Matrices [..., n, n] -> [...]. */
const det: InferRule = (context) => {
  const x = required(context, 0);
  const [rows, columns] = x.shape.slice(-2);
  if (rows === undefined || columns === undefined) throw problem(context, `${formatShape(x.shape)} holds no matrices`);
  expectEqual(context, rows, columns, 'rows and columns');
  return [{ dtype: x.dtype, shape: x.shape.slice(0, -2) }];
};

export const detectionRules: Readonly<Record<string, InferRule>> = {
  NonMaxSuppression: nonMaxSuppression,
  RoiAlign: roiAlign,
  DeformConv: deformConv,
  MaxUnpool: maxUnpool,
  Unique: unique,
  ReverseSequence: reverseSequence,
  Det: det,
};
