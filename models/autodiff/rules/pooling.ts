/**
 * @file Pooling. A maximum sends its cotangent to the element it came from; an average spreads it, as the adjoint of a
 * convolution of one channel with a kernel of ones.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import { elementCount } from '../../onnx/dtype.ts';
import type { Tensor } from '../../onnx/dtype.ts';
import { text } from '../../onnx/graph.ts';
import type { Node, Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { dimProduct } from '../../onnx/shapes.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { missingRule } from '../rule.ts';
import { addAtFlat } from '../scatter.ts';
import { dropWhere, keepWhere } from '../select.ts';
import { countOf, expandLike, reshapeLike, sizesOf } from '../sizes.ts';
import type { WindowAxis } from '../window.ts';
import { padsOf, windowAxes } from '../window.ts';
import { inputCotangent } from './convolution.ts';

const OPEN_CEIL = 'with ceil_mode the spatial sizes must be known';

const spatialAxes = (x: Value): number[] => x.shape.flatMap((_, axis) => (axis < 2 ? [] : [axis]));

/** The operator itself tells the row-major position of each maximum in the whole input, the first one of equals. */
const maxPool: Rule = ({ node, inputs: [x], g }, b) => [
  () => {
    const { storage_order: columnMajor, ...attributes } = node.attributes;
    const known = columnMajor === undefined ? node.outputs[1] : undefined;
    const positions = known ?? b.node('MaxPool', [x], attributes, 2)[1]!;
    return addAtFlat(b, g, { positions, like: x });
  },
];

const averagePool: Rule = (context, b) => {
  const {
    node,
    inputs: [x],
    outputs: [y],
    g,
    attributes,
  } = context;
  return [
    () => {
      const kernel = attributes.ints('kernel_shape') ?? [];
      const given = windowAxes(context, kernel, x);
      const isTiling =
        given.every((axis) => axis.stride === axis.kernel && axis.dilation === 1 && axis.begin + axis.end === 0) &&
        given.every((axis, at) => x.shape[at + 2] === dimProduct([y.shape[at + 2]!, axis.kernel]));
      if (isTiling) return repeated(b, op.divScalar(b, g, elementCount(kernel)), x);
      const axes = attributes.int('ceil_mode', 0) === 1 ? withLastWindow(given, x, y) : given;
      if (!axes) throw missingRule(node, 0, OPEN_CEIL);
      const countsPadding = attributes.int('count_include_pad', 0) === 1;
      const one = b.constant(ones(node, kernel), 'ones');
      const share = op.div(b, asImages(b, g), countsOf(b, x, { given, axes, one, countsPadding }));
      const back = inputCotangent(b, share, one, asImages(b, x), { axes, group: 1 });
      return reshapeLike(b, back, x);
    },
  ];
};

/** Channels as images of their own, so that a kernel of one channel serves all of them. */
function asImages(b: GraphBuilder, value: Value): Value {
  return op.reshapeTo(b, value, op.concat(b, [b.int64([-1, 1]), sizesOf(b, value, spatialAxes(value))], 0));
}

/** y = (sum |x|^p)^(1/p): x' = sign x |x|^(p-1) times what the windows' g y^(1-p) add up to; 0 where y is. */
const norm =
  (spread: (b: GraphBuilder, share: Value, context: RuleContext) => Value): Rule =>
  (context, b) => {
    const {
      inputs: [x],
      outputs: [y],
      g,
      attributes,
    } = context;
    return [
      () => {
        const p = attributes.int('p', 2);
        const isZero = op.equal(b, y, b.scalar(0, y.dtype));
        const divisor = op.where(b, isZero, b.scalar(1, y.dtype), y);
        const share = p === 1 ? g : op.mul(b, g, op.pow(b, divisor, b.scalar(1 - p, y.dtype)));
        const back = spread(b, dropWhere(b, isZero, share), context);
        if (p === 2) return op.mul(b, x, back);
        const slope = p === 1 ? op.sign(b, x) : op.mul(b, x, op.pow(b, op.abs(b, x), b.scalar(p - 2, x.dtype)));
        return op.mul(b, slope, back);
      },
    ];
  };

const lpPool = norm((b, share, context) => {
  const {
    node,
    inputs: [x],
    outputs: [y],
    attributes,
  } = context;
  const kernel = attributes.ints('kernel_shape') ?? [];
  const given = windowAxes(context, kernel, x);
  const axes = attributes.int('ceil_mode', 0) === 1 ? withLastWindow(given, x, y) : given;
  if (!axes) throw missingRule(node, 0, OPEN_CEIL);
  const one = b.constant(ones(node, kernel), 'ones');
  return reshapeLike(b, inputCotangent(b, asImages(b, share), one, asImages(b, x), { axes, group: 1 }), x);
});

/** Nearest neighbours: every element of g becomes a block, so that the whole has the size of x. */
function repeated(b: GraphBuilder, g: Value, x: Value): Value {
  return b.node('Resize', [g, undefined, undefined, op.shape(b, x)], {
    mode: text('nearest'),
    coordinate_transformation_mode: text('asymmetric'),
    nearest_mode: text('floor'),
  })[0]!;
}

/** With enough padding at the end for the last window of a number of windows that was rounded up. */
function withLastWindow(axes: readonly WindowAxis[], x: Value, y: Value): WindowAxis[] | undefined {
  const reaching = axes.map((axis, at) => {
    const [length, windows] = [x.shape[at + 2], y.shape[at + 2]];
    if (typeof length !== 'number' || typeof windows !== 'number') return undefined;
    return { ...axis, end: Math.max(axis.end, (windows - 1) * axis.stride + axis.extent - length - axis.begin) };
  });
  return reaching.every((axis) => axis !== undefined) ? reaching : undefined;
}

interface Counting {
  readonly given: readonly WindowAxis[];
  readonly axes: readonly WindowAxis[];
  readonly one: Value;
  readonly countsPadding: boolean;
}

/** Number of elements that each window is averaged over: of the image, or of the image and the padding asked for. */
function countsOf(b: GraphBuilder, x: Value, { given, axes, one, countsPadding }: Counting): Value {
  const beyond = axes.map((axis, at) => axis.end - given[at]!.end);
  const isFull = axes.every((axis, at) => beyond[at] === 0 && (countsPadding || axis.begin + axis.end === 0));
  if (isFull) return b.scalar(elementCount(axes.map((axis) => axis.kernel)), x.dtype);
  const sizes = sizesOf(b, x, spatialAxes(x));
  const padding = given.map(({ begin, end }) => begin + end);
  const whole = countsPadding ? op.add(b, sizes, b.int64(padding)) : sizes;
  const counted = op.expandTo(b, b.scalar(1, x.dtype), op.concat(b, [b.int64([1, 1]), whole], 0));
  return op.conv(b, counted, one, undefined, {
    strides: axes.map(({ stride }) => stride),
    dilations: axes.map(({ dilation }) => dilation),
    pads: padsOf(countsPadding ? beyond.map((end) => ({ begin: 0, end })) : axes),
  });
}

/** Larger windows would be written out as constants of gigabytes. */
const MOST_TAPS = 2 ** 20;

/** The kernel that adds up a window. */
function ones(node: Node, kernel: readonly number[]): Tensor {
  const count = elementCount(kernel);
  if (count > MOST_TAPS) throw missingRule(node, 0, `a window of ${count} elements`);
  return { dtype: 'float32', shape: [1, 1, ...kernel], data: new Float32Array(count).fill(1) };
}

export const poolingRules: RuleTable = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalLpPool: norm((b, share, { inputs: [x] }) => expandLike(b, share, x)),
  GlobalAveragePool: ({ inputs: [x], g }, b) => [
    () => expandLike(b, op.div(b, g, countOf(b, x, spatialAxes(x), x.dtype)), x),
  ],
  /** Equal maxima share the cotangent. */
  GlobalMaxPool: ({ inputs: [x], outputs: [y], g }, b) => [
    () => {
      const hit = op.equal(b, x, y);
      const count = op.reduceSum(b, op.cast(b, hit, x.dtype), { axes: spatialAxes(x) });
      return keepWhere(b, hit, op.div(b, g, count));
    },
  ],
};
