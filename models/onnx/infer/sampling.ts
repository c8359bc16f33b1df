/**
 * @file Inference of resizing and grid sampling.
 */
import type { Dim } from '../shapes.ts';
import { dimProduct, formatShape, unknownDim } from '../shapes.ts';
import type { InferRule } from './rule.ts';
import { axisOf, expectEqual, problem, rankOf, required } from './context.ts';

const resize: InferRule = (context) => {
  const x = required(context, 0);
  const rank = x.shape.length;
  const axes =
    context.attributes.ints('axes')?.map((axis) => axisOf(context, axis, rank)) ?? x.shape.map((_, axis) => axis);
  const sizes = context.inputs[3] ? context.dims(context.inputs[3]) : undefined;
  const scales = context.inputs[2] ? context.constant(context.inputs[2]) : undefined;
  const policy = context.attributes.string('keep_aspect_ratio_policy', 'stretch');
  if (policy !== 'stretch') throw problem(context, `keep_aspect_ratio_policy "${policy}" is not supported`);
  for (const [what, length] of [
    ['sizes', sizes?.length],
    ['scales', scales?.data.length],
  ] as const) {
    // Exporters leave scales empty where they give sizes.
    const isLeftOut = length === undefined || (what === 'scales' && length === 0 && context.inputs[3] !== undefined);
    if (!isLeftOut && length !== axes.length)
      throw problem(context, `${what} has ${length} numbers, expected ${axes.length}`);
  }
  const shape = [...x.shape];
  if (sizes) axes.forEach((axis, at) => (shape[axis] = sizes[at]!));
  else if (scales && !context.inputs[3])
    axes.forEach((axis, at) => (shape[axis] = scaled(shape[axis]!, Number(scales.data[at]))));
  else if (context.inputs[3] ?? context.inputs[2]) axes.forEach((axis) => (shape[axis] = unknownDim()));
  else throw problem(context, 'needs scales or sizes');
  return [{ dtype: x.dtype, shape }];
};

function scaled(dim: Dim, scale: number): Dim {
  // onnxruntime multiplies in float32, which does not hold every whole number beyond this.
  if (typeof dim === 'number' && dim * Math.max(scale, 1) > 2 ** 24) return unknownDim();
  if (typeof dim === 'number') return Math.floor(Math.fround(dim * scale));
  return Number.isInteger(scale) ? dimProduct([dim, scale]) : unknownDim();
}

const upsample: InferRule = (context) => {
  const x = required(context, 0);
  const scales = context.inputs[1] ? context.constant(context.inputs[1]) : undefined;
  return [
    {
      dtype: x.dtype,
      shape: x.shape.map((dim, axis) => (scales ? scaled(dim, Number(scales.data[axis])) : unknownDim())),
    },
  ];
};

/** Images [N, C, H, W] and places [N, h, w, 2] -> [N, C, h, w]; volumes with one axis and one coordinate more. */
const gridSample: InferRule = (context) => {
  const x = required(context, 0);
  const rank = x.shape.length;
  if (rank !== 4 && rank !== 5)
    throw problem(context, `input 0 has shape ${formatShape(x.shape)}, expected rank 4 or 5`);
  const grid = rankOf(context, 1, rank);
  const mode = context.attributes.string('mode', 'linear');
  const isKnown = mode === 'linear' || mode === 'nearest' || (mode === 'cubic' && rank === 4);
  if (!isKnown) throw problem(context, `mode "${mode}" is not supported`);
  if (grid.shape[rank - 1] !== rank - 2)
    throw problem(context, `the grid has shape ${formatShape(grid.shape)}, expected ${rank - 2} coordinates last`);
  expectEqual(context, x.shape[0]!, grid.shape[0]!, 'batch of the images and of the grid');
  return [{ dtype: x.dtype, shape: [x.shape[0]!, x.shape[1]!, ...grid.shape.slice(1, -1)] }];
};

/** theta [N, 2, 3] and sizes (N, C, H, W) -> [N, H, W, 2]; theta [N, 3, 4] and (N, C, D, H, W) -> [N, D, H, W, 3]. */
const affineGrid: InferRule = (context) => {
  const theta = rankOf(context, 0, 3);
  const axes = theta.shape[1];
  if ((axes !== 2 && axes !== 3) || theta.shape[2] !== axes + 1)
    throw problem(context, `theta has shape ${formatShape(theta.shape)}, expected [N, 2, 3] or [N, 3, 4]`);
  const sizes = context.dims(rankOf(context, 1, 1)) ?? Array.from({ length: axes + 2 }, unknownDim);
  if (sizes.length !== axes + 2) throw problem(context, `${sizes.length} sizes, expected ${axes + 2}`);
  expectEqual(context, theta.shape[0]!, sizes[0]!, 'batch of theta and of the sizes');
  return [{ dtype: theta.dtype, shape: [sizes[0]!, ...sizes.slice(2), axes] }];
};

export const samplingRules: Readonly<Record<string, InferRule>> = {
  Resize: resize,
  Upsample: upsample,
  GridSample: gridSample,
  AffineGrid: affineGrid,
};
