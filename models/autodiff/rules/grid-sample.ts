/**
 * @file GridSample: y(p) = sum over taps (j, i) of wy_j(p) wx_i(p) X[iy_j(p), ix_i(p)], with weights that are polynomials
 * in the fractions of the coordinates. X' adds at the taps; the grid's cotangent goes through the weights.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { DType } from '../../onnx/dtype.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { lazy } from '../rule.ts';
import { dropWhere, keepWhere } from '../select.ts';
import { sizeOf, sizesOf } from '../sizes.ts';

/** Taps per axis: offsets from the rounded coordinate, and weights as polynomials of the fraction, lowest power first. */
interface Kernel {
  readonly offsets: readonly number[];
  readonly weights: readonly (readonly number[])[];
}

/** The cubic convolution's parameter, as in the operator. */
const A = -0.75;

const KERNELS: Readonly<Record<string, Kernel>> = {
  nearest: { offsets: [0], weights: [[1]] },
  linear: { offsets: [0, 1], weights: [[1, -1], [0, 1]] }, // prettier-ignore
  cubic: {
    offsets: [-1, 0, 1, 2],
    weights: [
      [0, A, -2 * A, A],
      [1, 0, -(A + 3), A + 2],
      [0, -A, 2 * A + 3, -(A + 2)],
      [0, 0, A, -A],
    ],
  },
};

interface Sampling {
  readonly mode: string;
  readonly padding: string;
  readonly alignCorners: boolean;
}

/** Along one axis, for every point of the grid [N, h, w] (weights and positions: [N, h, w, taps]). */
interface Taps {
  /** int64, inside the image. */
  readonly positions: Value;
  readonly weights: Value;
  /** Derivative of the weights by the grid's coordinate, undefined where it is zero everywhere. */
  readonly slopes: Value | undefined;
}

function samplingOf({ attributes }: RuleContext): Sampling {
  const mode = attributes.string('mode', 'linear');
  return {
    // Names before operator set 20.
    mode: mode === 'bilinear' ? 'linear' : mode === 'bicubic' ? 'cubic' : mode,
    padding: attributes.string('padding_mode', 'zeros'),
    alignCorners: attributes.int('align_corners', 0) === 1,
  };
}

/** A value and its derivative by the grid's coordinate. */
interface Dual {
  readonly value: Value;
  readonly slope: Value;
}

const polynomial = (b: GraphBuilder, coefficients: readonly Value[], t: Value): Value =>
  coefficients.reduceRight((sum, coefficient) => op.add(b, op.mul(b, sum, t), coefficient));

/** One coefficient of every tap's polynomial (or of its derivative), as a vector over taps. */
function coefficientsOf(b: GraphBuilder, { weights }: Kernel, dtype: DType): { weight: Value[]; slope: Value[] } {
  const vector = (values: readonly number[]): Value =>
    dtype === 'float64'
      ? b.constant({ dtype, shape: [values.length], data: Float64Array.from(values) })
      : b.constant({ dtype: 'float32', shape: [values.length], data: Float32Array.from(values) });
  const powers = weights[0]!.map((_, power) => power);
  return {
    weight: powers.map((power) => vector(weights.map((w) => w[power]!))),
    slope: powers.slice(1).map((power) => vector(weights.map((w) => power * w[power]!))),
  };
}

/**
 * Moves a coordinate inside the image: the nearest inside one, or mirrored at the borders (of the corner pixels' centres,
 * or of their outer edges) as often as needed.
 */
function inside(b: GraphBuilder, { value, slope }: Dual, size: Value, { padding, alignCorners }: Sampling): Dual {
  const zero = b.scalar(0, value.dtype);
  const last = op.subScalar(b, size, 1);
  const clipped = (dual: Dual): Dual => {
    const held = op.min(b, op.max(b, dual.value, zero), last);
    return { value: held, slope: keepWhere(b, op.equal(b, held, dual.value), dual.slope) };
  };
  if (padding === 'border') return clipped({ value, slope });
  const low = alignCorners ? 0 : -0.5;
  // A single pixel has no span between corners: any will do, its coordinate is clipped to 0 anyway.
  const span = alignCorners ? op.max(b, last, b.scalar(1, value.dtype)) : size;
  const from = op.subScalar(b, value, low);
  const distance = op.abs(b, from);
  const flips = op.floor(b, op.div(b, distance, span));
  const rest = op.sub(b, distance, op.mul(b, flips, span));
  const half = op.mulScalar(b, flips, 0.5);
  const isEven = op.equal(b, op.floor(b, half), half);
  const mirrored = op.addScalar(b, op.where(b, isEven, rest, op.sub(b, span, rest)), low);
  const direction = op.mul(b, op.sign(b, from), slope);
  return clipped({ value: mirrored, slope: op.where(b, isEven, direction, op.neg(b, direction)) });
}

/** Taps along the axis of size `size` for coordinates in -1..1. */
function tapsOf(b: GraphBuilder, coordinate: Value, size: Value, sampling: Sampling): Taps {
  const { mode, padding, alignCorners } = sampling;
  const { dtype } = coordinate;
  const kernel = KERNELS[mode]!;
  const count = op.cast(b, size, dtype);
  const unit = op.mulScalar(b, alignCorners ? op.subScalar(b, count, 1) : count, 0.5);
  const middle = op.mulScalar(b, op.subScalar(b, count, 1), 0.5);
  const pixel: Dual = { value: op.add(b, op.mul(b, coordinate, unit), middle), slope: unit };
  // The cubic kernel moves its taps inside, the others the point itself.
  const movesPoint = padding !== 'zeros' && mode !== 'cubic';
  const { value, slope } = movesPoint ? inside(b, pixel, count, sampling) : pixel;
  const base = mode === 'nearest' ? b.node('Round', [value])[0]! : op.floor(b, value);
  const t = op.unsqueeze(b, op.sub(b, value, base), [-1]);
  const offsets = op.cast(b, b.int64(kernel.offsets), dtype);
  const taps = op.add(b, op.unsqueeze(b, base, [-1]), offsets);
  const [zero, last] = [b.scalar(0, dtype), op.subScalar(b, count, 1)];
  const isOutside = op.or(b, op.less(b, taps, zero), op.greater(b, taps, last));
  const moved =
    mode === 'cubic' && padding === 'reflection'
      ? inside(b, { value: taps, slope: unit }, count, sampling).value
      : taps;
  const positions = op.cast(b, op.min(b, op.max(b, moved, zero), last), 'int64');
  const { weight, slope: derivative } = coefficientsOf(b, kernel, dtype);
  const visible = (weights: Value): Value => (padding === 'zeros' ? dropWhere(b, isOutside, weights) : weights);
  const inner = derivative.length === 0 ? undefined : polynomial(b, derivative, t);
  return {
    positions,
    weights: visible(weight.length === 1 ? op.expandTo(b, weight[0]!, op.shape(b, taps)) : polynomial(b, weight, t)),
    slopes: inner && visible(op.mul(b, inner, slopePerTap(b, slope))),
  };
}

const slopePerTap = (b: GraphBuilder, slope: Value): Value =>
  slope.shape.length === 0 ? slope : op.unsqueeze(b, slope, [-1]);

const gridSample: Rule = (context, b) => {
  const {
    inputs: [x, grid],
    g,
  } = context;
  const sampling = samplingOf(context);
  const minusOne = b.int64([-1]);
  const last = x.shape.length - 1;
  const spatial = x.shape.flatMap((_, axis) => (axis < 2 ? [] : [axis]));
  /** Coordinates come in the opposite order of axes: the last axis has the first one. */
  const taps = spatial.map((axis) =>
    lazy(() => tapsOf(b, op.gather(b, grid, b.scalar(last - axis, 'int64'), last), sizeOf(b, x, axis), sampling)),
  );
  /** Where the axes of the taps stand: behind those of the points. */
  const tapAxes = spatial.map((axis) => axis - 1 + spatial.length);
  /** Weights or slopes of each axis [N, h, w, taps] to those of their taps: [N, h, w, taps y, taps x]. */
  const outer = (ofAxes: readonly Value[]): Value =>
    ofAxes
      .map((value, at) =>
        op.unsqueeze(
          b,
          value,
          tapAxes.filter((axis) => axis !== tapAxes[at]),
        ),
      )
      .reduce((product, value) => op.mul(b, product, value));
  /** Rows of the image as a list of pixels [N H W, C] that the taps read. */
  const rows = lazy(() => {
    const images = op.range(b, b.scalar(0, 'int64'), sizeOf(b, x, 0), b.scalar(1, 'int64'));
    return spatial.reduce(
      (row, axis, at) => {
        const [size, { positions }] = [sizeOf(b, x, axis), taps[at]!()];
        const before = op.mul(b, row, size);
        if (at === 0) return op.add(b, positions, before);
        return op.add(b, op.unsqueeze(b, before, [-1]), op.unsqueeze(b, positions, tapAxes.slice(0, at)));
      },
      op.unsqueeze(
        b,
        images,
        [...spatial, last + 1].map((axis) => axis - 1),
      ),
    );
  });
  const channelsLast = (value: Value): Value => op.transpose(b, value, [0, ...spatial, 1]);
  const points = lazy(() => op.unsqueeze(b, channelsLast(g), tapAxes));
  const pixelRows = (): Value => op.concat(b, [minusOne, sizesOf(b, x, [1])], 0);
  return [
    () => {
      const weights = op.unsqueeze(b, outer(taps.map((axis) => axis().weights)), [-1]);
      const updates = op.reshapeTo(b, op.mul(b, points(), weights), pixelRows());
      const where = op.reshapeTo(b, rows(), b.int64([-1, 1]));
      const image = op.concat(b, [sizesOf(b, x, [0, ...spatial]), sizesOf(b, x, [1])], 0);
      const zeros = op.reshapeTo(b, op.expandTo(b, b.scalar(0, g.dtype), image), pixelRows());
      const sum = op.reshapeTo(b, op.scatterNd(b, zeros, where, updates, 'add'), image);
      return op.transpose(b, sum, [0, last, ...spatial.map((axis) => axis - 1)]);
    },
    () => {
      const all = taps.map((axis) => axis());
      if (all.some(({ slopes }) => slopes === undefined)) return undefined;
      const pixels = op.reshapeTo(b, channelsLast(x), pixelRows());
      const read = op.gather(b, pixels, rows(), 0);
      const inner = op.reduceSum(b, op.mul(b, read, points()), { axes: [-1], keepdims: false });
      const total = (weights: Value): Value =>
        op.reduceSum(b, op.mul(b, inner, weights), { axes: spatial.map((_, at) => -1 - at), keepdims: false });
      const ofCoordinates = all
        .map((_, along) => total(outer(all.map(({ weights, slopes }, at) => (at === along ? slopes! : weights)))))
        .reverse();
      return op.concat(
        b,
        ofCoordinates.map((part) => op.unsqueeze(b, part, [-1])),
        last,
      );
    },
  ];
};

export const gridSampleRules: RuleTable = { GridSample: gridSample };
