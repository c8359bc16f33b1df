/**
 * @file Inference of matrix products, convolutions and pooling.
 */
import type { Dim, Shape } from '../shapes.ts';
import { broadcastShapes, dimProduct, formatShape, unknownDim } from '../shapes.ts';
import { parseEinsum } from '../einsum.ts';
import type { InferContext, InferRule } from './rule.ts';
import { expectEqual, problem, rankOf, required, sameType } from './context.ts';

const matMul: InferRule = (context) => {
  const [a, b] = [required(context, 0), required(context, 1)];
  sameType(context, [a, b]);
  if (a.shape.length === 0 || b.shape.length === 0) throw problem(context, 'a scalar is no matrix');
  const left: Shape = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right: Shape = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  expectEqual(
    context,
    left.at(-1)!,
    right.at(-2)!,
    `inner sizes of ${formatShape(a.shape)} and ${formatShape(b.shape)}`,
  );
  const batch = broadcastShapes([left.slice(0, -2), right.slice(0, -2)], context.where);
  const rows = a.shape.length === 1 ? [] : [left.at(-2)!];
  const columns = b.shape.length === 1 ? [] : [right.at(-1)!];
  return [{ dtype: a.dtype, shape: [...batch, ...rows, ...columns] }];
};

const gemm: InferRule = (context) => {
  const [a, b] = [required(context, 0), required(context, 1)];
  sameType(context, [a, b]);
  if (a.shape.length !== 2 || b.shape.length !== 2)
    throw problem(context, `inputs have shapes ${formatShape(a.shape)} and ${formatShape(b.shape)}, expected matrices`);
  const [rows, inner] = context.attributes.int('transA', 0) ? [a.shape[1]!, a.shape[0]!] : [a.shape[0]!, a.shape[1]!];
  const [innerB, columns] = context.attributes.int('transB', 0)
    ? [b.shape[1]!, b.shape[0]!]
    : [b.shape[0]!, b.shape[1]!];
  expectEqual(context, inner, innerB, 'inner sizes');
  const c = context.inputs[2];
  if (c) {
    const sum = broadcastShapes([[rows, columns], c.shape], context.where);
    const fits = sum.length === 2 && [rows, columns].every((size, axis) => size !== 1 || sum[axis] === 1);
    if (!fits) throw problem(context, `input 2 has shape ${formatShape(c.shape)}, which is larger than the product`);
  }
  return [{ dtype: a.dtype, shape: [rows, columns] }];
};

const einsum: InferRule = (context) => {
  const values = context.inputs.map((_, at) => required(context, at));
  sameType(context, values);
  const { output, sizes } = parseEinsum(
    context.attributes.string('equation', ''),
    values.map((value) => value.shape),
    context.where,
  );
  return [{ dtype: values[0]!.dtype, shape: output.map((label) => sizes.get(label)!) }];
};

interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begins of all axes, then ends. */
  readonly pads: readonly number[];
}

/** Kernel, strides, dilations and pads of a convolution or pooling over the axes after the first two. */
export function windowOf(
  context: Pick<InferContext, 'attributes' | 'where'>,
  kernel: readonly number[],
  spatial: Shape,
): Window {
  const { attributes } = context;
  const axes = kernel.length;
  const strides = attributes.ints('strides') ?? kernel.map(() => 1);
  const dilations = attributes.ints('dilations') ?? kernel.map(() => 1);
  for (const [what, steps] of [
    ['strides', strides],
    ['dilations', dilations],
  ] as const) {
    if (steps.length === axes && steps.every((step) => step >= 1)) continue;
    throw problem(context, `${what} are [${steps.join(', ')}], expected ${axes} numbers of 1 or more`);
  }
  const mode = attributes.string('auto_pad', 'NOTSET');
  if (mode === 'SAME_UPPER' || mode === 'SAME_LOWER') {
    const begins: number[] = [];
    const ends: number[] = [];
    kernel.forEach((size, axis) => {
      const length = spatial[axis];
      const extent = (size - 1) * dilations[axis]! + 1;
      const rest = typeof length === 'number' ? length % strides[axis]! : 0;
      const total = Math.max(0, rest === 0 ? extent - strides[axis]! : extent - rest);
      const small = Math.floor(total / 2);
      begins.push(mode === 'SAME_UPPER' ? small : total - small);
      ends.push(mode === 'SAME_UPPER' ? total - small : small);
    });
    return { kernel, strides, dilations, pads: [...begins, ...ends] };
  }
  const pads = mode === 'VALID' ? undefined : attributes.ints('pads');
  if (pads && pads.length !== 2 * axes) {
    throw problem(context, `pads are [${pads.join(', ')}], expected ${2 * axes} numbers`);
  }
  return { kernel, strides, dilations, pads: pads ?? Array.from({ length: 2 * axes }, () => 0) };
}

/** Number of window positions along an axis. */
function positions(length: Dim, axis: number, { kernel, strides, dilations, pads }: Window, ceil: boolean): Dim {
  const extent = (kernel[axis]! - 1) * dilations[axis]! + 1;
  const padding = pads[axis]! + pads[axis + kernel.length]!;
  if (typeof length === 'string') return strides[axis] === 1 && padding === extent - 1 ? length : unknownDim();
  const span = (length + padding - extent) / strides[axis]!;
  const count = (ceil ? Math.ceil(span) : Math.floor(span)) + 1;
  // A last window that would begin in the padding behind the input does not count.
  return ceil && (count - 1) * strides[axis]! >= length + pads[axis]! ? count - 1 : count;
}

function checkPositions(context: InferContext, shape: Shape): Shape {
  if (shape.some((dim) => typeof dim === 'number' && dim < 0))
    throw problem(context, `the window does not fit: result ${formatShape(shape)}`);
  return shape;
}

function kernelOf(context: InferContext, weight: Shape): readonly number[] {
  const kernel = weight.slice(2);
  if (!kernel.every((dim) => typeof dim === 'number'))
    throw problem(context, `the kernel's shape ${formatShape(weight)} must be known`);
  return kernel;
}

/** One number per channel of the result, if it is given. */
function checkBias(context: InferContext, channels: Dim): void {
  if (!context.inputs[2]) return;
  const bias = rankOf(context, 2, 1);
  sameType(context, [required(context, 0), bias]);
  expectEqual(context, bias.shape[0]!, channels, 'size of the bias and number of channels');
}

const conv: InferRule = (context) => {
  const [x, w] = [required(context, 0), required(context, 1)];
  sameType(context, [x, w]);
  if (x.shape.length !== w.shape.length)
    throw problem(context, `input ${formatShape(x.shape)} and kernel ${formatShape(w.shape)} differ in rank`);
  const group = context.attributes.int('group', 1);
  checkBias(context, w.shape[0]!);
  expectEqual(context, x.shape[1]!, dimProduct([w.shape[1]!, group]), 'channels of input and of kernel times groups');
  // In the cotangent of a kernel the image takes the kernel's place, and its sizes may be open.
  const isOpen = w.shape.slice(2).some((dim) => typeof dim !== 'number');
  if (isOpen)
    return [{ dtype: x.dtype, shape: [x.shape[0]!, w.shape[0]!, ...w.shape.slice(2).map(() => unknownDim())] }];
  const window = windowOf(context, kernelOf(context, w.shape), x.shape.slice(2));
  const spatial = x.shape.slice(2).map((length, axis) => positions(length, axis, window, false));
  return [{ dtype: x.dtype, shape: checkPositions(context, [x.shape[0]!, w.shape[0]!, ...spatial]) }];
};

const convTranspose: InferRule = (context) => {
  const [x, w] = [required(context, 0), required(context, 1)];
  sameType(context, [x, w]);
  const group = context.attributes.int('group', 1);
  checkBias(context, dimProduct([w.shape[1]!, group]));
  expectEqual(context, x.shape[1]!, w.shape[0]!, 'channels of input and first axis of kernel');
  const kernel = kernelOf(context, w.shape);
  const asked = context.attributes.ints('output_shape');
  const { strides, dilations, pads } = windowOf(context, kernel, x.shape.slice(2));
  const extra = context.attributes.ints('output_padding') ?? kernel.map(() => 0);
  const isSame = context.attributes.string('auto_pad', 'NOTSET').startsWith('SAME');
  const spatial = x.shape.slice(2).map((length, axis): Dim => {
    if (asked) return asked.at(axis - kernel.length)!;
    const stride = strides[axis]!;
    const extent = (kernel[axis]! - 1) * dilations[axis]! + 1 + extra[axis]!;
    // What the last input element adds; the others add a stride each.
    const tail = isSame ? Math.min(stride, extent) : extent - pads[axis]! - pads[axis + kernel.length]!;
    if (typeof length === 'string') return tail === stride ? dimProduct([length, stride]) : unknownDim();
    return (length - 1) * stride + tail;
  });
  return [
    { dtype: x.dtype, shape: checkPositions(context, [x.shape[0]!, dimProduct([w.shape[1]!, group]), ...spatial]) },
  ];
};

const pool: InferRule = (context) => {
  const x = required(context, 0);
  const kernel = context.attributes.ints('kernel_shape');
  if (kernel?.length !== x.shape.length - 2)
    throw problem(context, `kernel_shape [${kernel?.join(', ') ?? ''}] does not fit input ${formatShape(x.shape)}`);
  const window = windowOf(context, kernel, x.shape.slice(2));
  const ceil = context.attributes.int('ceil_mode', 0) === 1;
  const shape = checkPositions(context, [
    ...x.shape.slice(0, 2),
    ...x.shape.slice(2).map((length, axis) => positions(length, axis, window, ceil)),
  ]);
  return [
    { dtype: x.dtype, shape },
    { dtype: 'int64' as const, shape },
  ].slice(0, context.outputs);
};

const globalPool: InferRule = (context) => {
  const x = required(context, 0);
  return [{ dtype: x.dtype, shape: x.shape.map((dim, axis) => (axis < 2 ? dim : 1)) }];
};

export const productRules: Readonly<Record<string, InferRule>> = {
  MatMul: matMul,
  Gemm: gemm,
  Einsum: einsum,
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
};
