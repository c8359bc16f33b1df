/**
 * @file Group normalisation by kernels that runtimes have for other normalisations, each of which reads and writes an image
 * in few passes. A batch normalisation of [1, B G, m], one channel per group of m elements, gives (x - mean) r and, in
 * training mode, the statistics as well; scale and shift per channel are a batch normalisation with stored statistics.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { elementCount, float32 } from '../onnx/dtype.ts';
import type { Node, Value } from '../onnx/graph.ts';
import { AttributeReader, float, int } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimProduct, dimQuotient, type Dim } from '../onnx/shapes.ts';

/**
 * A float32 GroupNormalization of [B, C, ...] into several groups, of which all sizes but B are known, images of a multiple of
 * 16 elements.
 */
export interface GroupNorm {
  readonly x: Value;
  readonly scale: Value;
  readonly bias: Value;
  readonly groups: number;
  readonly channels: number;
  /** Elements of a group. */
  readonly elements: number;
  /** B groups */
  readonly rows: Dim;
  readonly epsilon: number;
}

/** Floats in the widest vector of a processor. */
const VECTOR = 16;

/** Undefined for any other node. */
export function groupNormOf(node: Node): GroupNorm | undefined {
  const [x, scale, bias] = node.inputs;
  if (node.op !== 'GroupNormalization' || x?.dtype !== 'float32' || !scale || !bias) return undefined;
  const [batch, channels, ...spatial] = x.shape;
  const known = [channels, ...spatial];
  if (!known.every((size) => typeof size === 'number')) return undefined;
  const attributes = new AttributeReader(node.attributes, `node ${node.name}`);
  const groups = attributes.int('num_groups', 1);
  const elements = elementCount(known) / groups;
  // onnxruntime's sums depend on where a row begins in memory, and on whether there are others: so that an image gets its
  // bytes whatever the batch, images are whole vectors long and have several groups. And running statistics are two.
  if ((groups * elements) % VECTOR !== 0 || groups < 2 || elements < 2) return undefined;
  const [rows, epsilon] = [dimProduct([batch!, groups]), attributes.float('epsilon', 1e-5)];
  return { x, scale, bias, groups, channels: Number(channels), elements, rows, epsilon };
}

export interface Standardised {
  /** (x - mean) / sqrt(variance + epsilon), [1, rows, elements] */
  readonly xhat: Value;
  /** [rows] */
  readonly variance: Value;
}

/**
 * Every group with mean 0 and deviation 1, and its variance. Two passes: digits survive a large mean. Momentum 0: the
 * statistics that come out are those of x, whatever the running ones were that go in. onnxruntime writes them over those
 * that go in, without asking who else reads them; so each node gets its own, elements of x, and they must be two.
 */
export function standardiseWithVariance(b: GraphBuilder, { x, rows, elements, epsilon }: GroupNorm): Standardised {
  const [one, zero] = [filled(b, 1, rows), filled(b, 0, rows)];
  const lines = op.reshape(b, x, [rows, elements]);
  const running = [0, 1].map((at) => op.gather(b, lines, b.scalar(at, 'int64'), 1));
  const groups = op.reshape(b, x, [1, rows, elements]);
  const attributes = { epsilon: float(epsilon), momentum: float(0), training_mode: int(1) };
  const [xhat, , variance] = b.node('BatchNormalization', [groups, one, zero, ...running], attributes, 3);
  return { xhat: xhat!, variance: variance! };
}

/** As above, for a graph that asks for no gradient: nothing of the size of the batch is made beside it. [B, groups, elements] */
export function standardise(b: GraphBuilder, { x, groups, elements, epsilon }: GroupNorm): Value {
  const [one, zero] = [filled(b, 1, groups), filled(b, 0, groups)];
  const apart = op.reshape(b, x, [x.shape[0]!, groups, elements]);
  return b.node('InstanceNormalization', [apart, one, zero], { epsilon: float(epsilon) })[0]!;
}

/** x scale / divisor + bias, one number of each per channel: x [N, C, ...], scale [C], bias [C]. One kernel, one pass. */
export function affine(b: GraphBuilder, x: Value, scale: Value, bias: Value, divisor = 1): Value {
  const channels = x.shape[1]!;
  return batchNormalization(b, x, [scale, bias, filled(b, 0, channels), filled(b, divisor ** 2, channels)], 0);
}

/** x / sqrt(variance + epsilon), one variance per channel [C], as the kernel of `standardiseWithVariance` divides. */
export function divideByDeviation(b: GraphBuilder, x: Value, variance: Value, epsilon: number): Value {
  const channels = x.shape[1]!;
  const [one, zero] = [filled(b, 1, channels), filled(b, 0, channels)];
  return batchNormalization(b, x, [one, zero, zero, variance], epsilon);
}

function batchNormalization(b: GraphBuilder, x: Value, parameters: readonly Value[], epsilon: number): Value {
  return b.node('BatchNormalization', [x, ...parameters], { epsilon: float(epsilon) })[0]!;
}

/** Whether the node gives statistics of its input, as `standardiseWithVariance` asks for them. */
export function givesStatistics(node: Node): boolean {
  return node.op === 'BatchNormalization' && node.outputs.length === 3;
}

/** A vector of equal numbers, of a size that may be symbolic. */
function filled(b: GraphBuilder, value: number, size: Dim): Value {
  if (typeof size === 'number') return b.constant(float32(new Float32Array(size).fill(value), [size]), 'filled');
  return op.expandTo(b, b.constant(float32([value])), sizeVector(b, size));
}

/** A symbolic size at run time: of the input of which it is a multiple, so that all who ask get the same nodes. */
function sizeVector(b: GraphBuilder, size: string): Value {
  for (const input of b.inputs) {
    const [leading] = input.shape;
    const multiple = typeof leading === 'string' ? dimQuotient(size, leading) : undefined;
    if (typeof multiple !== 'number') continue;
    const [length] = b.node('Shape', [input], { start: int(0), end: int(1) });
    return op.mul(b, length!, b.int64([multiple]));
  }
  return b.shapeVector([size]);
}
