/**
 * @file Convolutions. With stride 1 the input's cotangent is a convolution with the kernel turned round, prepared once when
 * the graph is loaded; else a transposed convolution. The kernel's is a convolution of the input with the cotangent, batch
 * and channels exchanged.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { isStatic } from '../../onnx/shapes.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { missingRule } from '../rule.ts';
import { sizesOf } from '../sizes.ts';
import type { WindowAxis } from '../window.ts';
import { padsOf, windowAxes } from '../window.ts';

export interface Convolution {
  readonly axes: readonly WindowAxis[];
  readonly group: number;
}

function convolutionOf(context: RuleContext, x: Value, w: Value): Convolution {
  const kernel = w.shape.slice(2);
  if (!isStatic(kernel)) throw missingRule(context.node, 0, "the kernel's size must be known");
  return { axes: windowAxes(context, kernel, x), group: context.attributes.int('group', 1) };
}

const strides = (axes: readonly WindowAxis[]): number[] => axes.map((axis) => axis.stride);
const dilations = (axes: readonly WindowAxis[]): number[] => axes.map((axis) => axis.dilation);

/** [groups * a, c, ...] to [groups * c, a, ...]: first two axes exchanged within each group. */
function swapWithinGroups(b: GraphBuilder, w: Value, group: number): Value {
  const spatial = w.shape.slice(2).map((_, axis) => axis);
  if (group === 1) return op.transpose(b, w, [1, 0, ...spatial.map((axis) => axis + 2)]);
  const [rows, columns, ...kernel] = w.shape as readonly number[];
  const apart = op.reshape(b, w, [group, rows! / group, columns!, ...kernel]);
  const swapped = op.transpose(b, apart, [0, 2, 1, ...spatial.map((axis) => axis + 3)]);
  return op.reshape(b, swapped, [group * columns!, rows! / group, ...kernel]);
}

/** The kernel in reverse along its spatial axes. */
function turned(b: GraphBuilder, w: Value): Value {
  const axes = w.shape.flatMap((dim, axis) => (axis >= 2 && dim !== 1 ? [axis] : []));
  if (axes.length === 0) return w;
  const all = (value: number): number[] => axes.map(() => value);
  return op.slice(b, w, { starts: all(-1), ends: all(-op.TO_THE_END), axes, steps: all(-1) });
}

/** Cotangent of the input x of a convolution with kernel w [M, C/group, ...]. */
export function inputCotangent(b: GraphBuilder, g: Value, w: Value, x: Value, { axes, group }: Convolution): Value {
  const isPlain = axes.every(({ stride, extent, begin, end }) => stride === 1 && begin < extent && end < extent);
  if (isPlain) {
    const pads = padsOf(axes.map(({ extent, begin, end }) => ({ begin: extent - 1 - begin, end: extent - 1 - end })));
    const kernel = swapWithinGroups(b, turned(b, w), group);
    return op.conv(b, g, kernel, undefined, { pads, dilations: dilations(axes), group });
  }
  const options = { strides: strides(axes), dilations: dilations(axes), group };
  const lengths = x.shape.slice(2);
  const extra = axes.map(({ stride, extent, begin, end }, axis) => {
    const length = lengths[axis]!;
    return typeof length === 'number' ? (length + begin + end - extent) % stride : undefined;
  });
  if (extra.every((rest) => rest !== undefined)) {
    return op.convTranspose(b, g, w, undefined, { ...options, pads: padsOf(axes), outputPadding: extra });
  }
  // How many elements at the end no window reached is known at run time only.
  return fitted(b, op.convTranspose(b, g, w, undefined, options), x, axes);
}

/** Without the padding before, and cropped or filled with zeros to the spatial sizes of x. */
function fitted(b: GraphBuilder, full: Value, x: Value, axes: readonly WindowAxis[]): Value {
  const spatial = axes.map((_, axis) => axis + 2);
  const begins = b.int64([0, 0, ...axes.map(({ begin }) => -begin)]);
  const missing = op.sub(b, sizesOf(b, x, spatial), sizesOf(b, full, spatial));
  const ends = op.add(b, missing, b.int64(axes.map(({ begin }) => begin)));
  return b.node('Pad', [full, op.concat(b, [begins, b.int64([0, 0]), ends], 0)])[0]!;
}

/**
 * Cotangent of the kernel w [M, C/group, ...] of a convolution of x with cotangent g: a convolution in which batch entries
 * are channels, strides are dilations and dilations strides.
 */
function kernelCotangent(b: GraphBuilder, g: Value, w: Value, x: Value, { axes, group }: Convolution): Value {
  const spatial = axes.map((_, axis) => axis);
  const others = spatial.map((axis) => axis + 2);
  const images = group === 1 ? op.transpose(b, x, [1, 0, ...others]) : channelsOfGroups(b, x, group);
  const kernels = op.transpose(b, g, [1, 0, ...others]);
  const all = op.conv(b, images, kernels, undefined, {
    strides: dilations(axes),
    dilations: strides(axes),
    pads: padsOf(axes),
    group,
  });
  return op.transpose(b, cropped(b, all, w), [1, 0, ...others]);
}

/** The first elements along each spatial axis, as many as `like` has. */
function cropped(b: GraphBuilder, value: Value, like: Value): Value {
  const spatial = like.shape.flatMap((_, axis) => (axis < 2 ? [] : [axis]));
  if (spatial.every((axis) => value.shape[axis] === like.shape[axis])) return value;
  const starts = b.int64(spatial.map(() => 0));
  return b.node('Slice', [value, starts, sizesOf(b, like, spatial), b.int64(spatial)])[0]!;
}

/** [N, group * c, ...] to [c, group * N, ...]. */
function channelsOfGroups(b: GraphBuilder, x: Value, group: number): Value {
  const spatial = x.shape.slice(2).map((_, axis) => axis);
  const sizes = spatial.map((axis) => axis + 2);
  const channels = x.shape[1] as number;
  const inner = b.int64([group, channels / group]);
  const apart = op.reshapeTo(b, x, op.concat(b, [sizesOf(b, x, [0]), inner, sizesOf(b, x, sizes)], 0));
  const swapped = op.transpose(b, apart, [2, 1, 0, ...spatial.map((axis) => axis + 3)]);
  const shape = op.concat(b, [b.int64([channels / group, -1]), sizesOf(b, x, sizes)], 0);
  return op.reshapeTo(b, swapped, shape);
}

const biasCotangent = (b: GraphBuilder, g: Value): Value =>
  op.reduceSum(b, g, { axes: g.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis])), keepdims: false });

const conv: Rule = (context, b) => {
  const {
    inputs: [x, w],
    g,
  } = context;
  return [
    () => inputCotangent(b, g, w, x, convolutionOf(context, x, w)),
    () => kernelCotangent(b, g, w, x, convolutionOf(context, x, w)),
    () => biasCotangent(b, g),
  ];
};

/** The adjoint of a convolution: its own adjoint is that convolution, and the kernel's roles of x and g are exchanged. */
const convTranspose: Rule = (context, b) => {
  const {
    node,
    inputs: [x, w],
    g,
    attributes,
  } = context;
  if (attributes.has('output_shape') || attributes.string('auto_pad', 'NOTSET').startsWith('SAME')) {
    throw missingRule(node, 0, 'output_shape and auto_pad have none: give pads and output_padding');
  }
  return [
    () => {
      const { axes, group } = convolutionOf(context, x, w);
      const back = op.conv(b, g, w, undefined, {
        strides: strides(axes),
        pads: padsOf(axes),
        dilations: dilations(axes),
        group,
      });
      // An output padding of a whole stride makes room for windows that the transposed convolution did not have.
      return cropped(b, back, x);
    },
    () => kernelCotangent(b, x, w, g, convolutionOf(context, x, w)),
    () => biasCotangent(b, g),
  ];
};

export const convolutionRules: RuleTable = { Conv: conv, ConvTranspose: convTranspose };
