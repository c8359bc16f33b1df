/**
 * @file Normalisations in closed form. With xhat = (x - mean) r, r = 1/sqrt(variance + epsilon), over a group of elements,
 * and h the cotangent of xhat: x' = r (h - mean h - xhat mean(xhat h)).
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import { elementCount, float32, type Tensor } from '../../onnx/dtype.ts';
import type { Value } from '../../onnx/graph.ts';
import { float, int } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { normalAxis, type Shape } from '../../onnx/shapes.ts';
import { unbroadcast } from '../broadcast.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { lazy, missingRule } from '../rule.ts';
import { reshapeLike } from '../sizes.ts';

interface Centred {
  /** x - mean */
  readonly centred: Value;
  /** Inverse deviation, one per group. */
  readonly r: Value;
}

const mean = (b: GraphBuilder, x: Value, axes: readonly number[]): Value => op.reduceMean(b, x, { axes });

/** 1 / sqrt(x + epsilon) */
const inverseRoot = (b: GraphBuilder, x: Value, epsilon: number): Value =>
  op.reciprocal(b, op.sqrt(b, op.addScalar(b, x, epsilon)));

/** Two passes: a variance from the mean of squares would cancel where the mean is large. */
function centre(b: GraphBuilder, x: Value, axes: readonly number[], epsilon: number): Centred {
  const centred = op.sub(b, x, mean(b, x, axes));
  return { centred, r: inverseRoot(b, mean(b, op.mul(b, centred, centred), axes), epsilon) };
}

/** Of what the forward node normalised: by its own statistics if it gives them away, else by those that `shareStatistics` finds. */
function centredLayer({ node, inputs: [x], attributes }: RuleContext, b: GraphBuilder): Centred {
  const epsilon = attributes.float('epsilon', 1e-5);
  const axis = normalAxis(attributes.int('axis', -1), x.shape.length, `node ${node.name}`);
  const [, middle, deviation] = node.outputs;
  if (middle && deviation) {
    return { centred: op.sub(b, x, op.cast(b, middle, x.dtype)), r: op.cast(b, deviation, x.dtype) };
  }
  if (x.dtype !== 'float32') return centre(b, x, axesFrom(axis, x), epsilon);
  const settings = { axis: int(axis), epsilon: float(epsilon) };
  const [, found, r] = b.node('LayerNormalization', [x, b.constant(ones(x.shape.slice(axis)))], settings, 3);
  return { centred: op.sub(b, x, found!), r: r! };
}

/** A scale of one. In the whole shape where that is known: onnxruntime's WebGPU kernel does not broadcast a scale. */
function ones(shape: Shape): Tensor {
  if (!shape.every((size) => typeof size === 'number')) return float32([1]);
  return float32(new Float32Array(elementCount(shape)).fill(1), shape);
}

function axesFrom(first: number, x: Value): number[] {
  return x.shape.flatMap((_, axis) => (axis < first ? [] : [axis]));
}

const layerNormalization: Rule = (context, b) => {
  const {
    node,
    inputs: [x, scale, bias],
    g,
    gradients,
    attributes,
  } = context;
  const axes = axesFrom(normalAxis(attributes.int('axis', -1), x.shape.length, `node ${node.name}`), x);
  const layer = lazy(() => centredLayer(context, b));
  const xhat = lazy(() => op.mul(b, layer().centred, layer().r));
  return [
    () => {
      const { centred, r } = layer();
      const parts: Value[] = [];
      if (gradients[0]) {
        const h = op.mul(b, g, scale);
        // xhat mean(xhat h) = (x - mean) r^2 mean((x - mean) h): a pass less. Of small numbers of few digits r is taken in first.
        const isHalf = x.dtype !== 'float32' && x.dtype !== 'float64';
        const direction = isHalf ? xhat() : centred;
        const share = mean(b, op.mul(b, h, direction), axes);
        const along = op.mul(b, direction, isHalf ? share : op.mul(b, op.mul(b, r, r), share));
        parts.push(op.mul(b, op.sub(b, op.sub(b, h, mean(b, h, axes)), along), r));
      }
      const size = (): Value => meanWeight(b, x, axes);
      // mean' = 1/m; r' = -r^2 xhat / m.
      if (gradients[1]) parts.push(op.mul(b, op.cast(b, gradients[1], x.dtype), size()));
      if (gradients[2]) {
        const slope = op.neg(b, op.mul(b, op.mul(b, r, r), op.cast(b, gradients[2], x.dtype)));
        parts.push(op.mul(b, xhat(), op.mul(b, slope, size())));
      }
      return op.sum(b, parts);
    },
    () => unbroadcast(b, op.mul(b, g, xhat()), scale),
    () => unbroadcast(b, g, bias),
  ];
};

/** 1/m in the shape of x: the derivative of a mean. */
function meanWeight(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const one = op.expandTo(b, b.scalar(1, x.dtype), op.shape(b, x));
  return op.div(b, one, op.reduceSum(b, one, { axes }));
}

/**
 * Groups of channels, as [N, groups, channels of a group, elements]. Means over a channel come first: what is left per
 * element is r gamma g - k (x - mean) - c, with k and c one number per group.
 */
function channelGroups(context: RuleContext, b: GraphBuilder, groups: number): ReturnType<Rule> {
  const {
    node,
    inputs: [x, scale, bias],
    g,
    attributes,
  } = context;
  const channels = x.shape[1];
  if (typeof channels !== 'number') throw missingRule(node, 0, 'the number of channels must be known');
  const shape = b.int64([0, groups, channels / groups, -1]);
  const apart = (value: Value): Value => b.node('Reshape', [value, shape])[0]!;
  const gc = lazy(() => apart(g));
  const standard = lazy(() => centre(b, apart(x), [2, 3], attributes.float('epsilon', 1e-5)));
  const products = lazy(() => op.mul(b, gc(), standard().centred));
  return [
    () => {
      const { centred, r } = standard();
      const gamma = op.reshape(b, scale, [groups, channels / groups, 1]);
      const meanOf = (values: Value): Value => mean(b, op.mul(b, mean(b, values, [3]), gamma), [2]);
      const k = op.mul(b, op.mul(b, r, op.mul(b, r, r)), meanOf(products()));
      const c = op.mul(b, r, meanOf(gc()));
      const scaled = op.mul(b, gc(), op.mul(b, r, gamma));
      return reshapeLike(b, op.sub(b, op.sub(b, scaled, op.mul(b, centred, k)), c), x);
    },
    () => {
      const sums = op.mul(b, op.reduceSum(b, products(), { axes: [3] }), standard().r);
      return reshapeLike(b, op.reduceSum(b, sums, { axes: [0, 3], keepdims: false }), scale);
    },
    () => reshapeLike(b, op.reduceSum(b, gc(), { axes: [0, 3], keepdims: false }), bias),
  ];
}

/** y = scale (x - mean) / sqrt(var + epsilon) + bias with stored statistics. */
const batchNormalization: Rule = ({ node, inputs: [x, scale, bias, middle, variance], g, attributes }, b) => {
  if (attributes.int('training_mode', 0) === 1) throw missingRule(node, 0, 'training_mode is 1');
  if ([scale, bias, middle, variance].some(({ dtype }) => dtype !== x.dtype)) {
    throw missingRule(node, 0, 'its parameters are of another type than its input: cast them first');
  }
  const others = x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const wide = (value: Value): Value =>
    op.unsqueeze(
      b,
      value,
      axesFrom(2, x).map((axis) => axis - 1),
    );
  const sums = (value: Value): Value => op.reduceSum(b, value, { axes: others, keepdims: false });
  const r = lazy(() => inverseRoot(b, variance, attributes.float('epsilon', 1e-5)));
  const slope = lazy(() => op.mul(b, scale, r()));
  const sumG = lazy(() => sums(g));
  const sumGx = lazy(() => sums(op.mul(b, g, op.sub(b, x, wide(middle)))));
  return [
    () => op.mul(b, g, wide(slope())),
    () => op.mul(b, sumGx(), r()),
    () => reshapeLike(b, sumG(), bias),
    () => op.neg(b, op.mul(b, sumG(), slope())),
    () => op.mul(b, op.mulScalar(b, sumGx(), -0.5), op.mul(b, slope(), op.mul(b, r(), r()))),
  ];
};

/** y = scale x r, r = 1/sqrt(mean x^2 + epsilon): x' = r (h - x r^2 mean(x h)). */
const rmsNormalization: Rule = ({ node, inputs: [x, scale], g, attributes }, b) => {
  const axes = axesFrom(normalAxis(attributes.int('axis', -1), x.shape.length, `node ${node.name}`), x);
  const r = lazy(() => inverseRoot(b, mean(b, op.mul(b, x, x), axes), attributes.float('epsilon', 1e-5)));
  return [
    () => {
      const h = op.mul(b, g, scale);
      const along = op.mul(b, op.mul(b, r(), r()), mean(b, op.mul(b, x, h), axes));
      return op.mul(b, op.sub(b, h, op.mul(b, x, along)), r());
    },
    () => unbroadcast(b, op.mul(b, g, op.mul(b, x, r())), scale),
  ];
};

export const normalisationRules: RuleTable = {
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
  BatchNormalization: batchNormalization,
  GroupNormalization: (context, b) => channelGroups(context, b, context.attributes.int('num_groups', 1)),
  InstanceNormalization: (context, b) => channelGroups(context, b, Number(context.inputs[0].shape[1])),
};
