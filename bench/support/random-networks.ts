/**
 * @file Small networks of random layers for checks of gradients: smooth ones, ones with kinks, ones that choose between
 * branches, and deep ones of convolutions, as the ones that people bring are.
 */
import type { Random } from '../../judge/random.ts';
import { GraphBuilder } from '../../models/onnx/builder.ts';
import { elementCount, float32 } from '../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../models/onnx/graph.ts';
import * as op from '../../models/onnx/ops.ts';

export const KINDS = ['smooth', 'kinks', 'choices', 'convolutions'] as const;
export type NetworkKind = (typeof KINDS)[number];

type Activation = (b: GraphBuilder, x: Value) => Value;

const SMOOTH: readonly Activation[] = [
  op.tanh,
  op.sigmoid,
  op.erf,
  op.softplus,
  op.gelu,
  op.sin,
  (b, x) => op.softmax(b, x),
  (b, x) => op.mul(b, x, op.sigmoid(b, x)),
];
const KINKS: readonly Activation[] = [
  op.relu,
  op.abs,
  (b, x) => op.clip(b, x, { min: -1, max: 1 }),
  (b, x) => op.max(b, x, op.mulScalar(b, x, 0.1)),
  (b, x) => op.mul(b, x, op.clip(b, op.addScalar(b, op.mulScalar(b, x, 1 / 6), 0.5), { min: 0, max: 1 })),
];
const CHOICES: readonly Activation[] = [
  (b, x) => op.where(b, op.greater(b, x, b.scalar(0)), op.tanh(b, x), op.mulScalar(b, x, 0.5)),
  (b, x) => op.max(b, op.sin(b, x), op.mulScalar(b, x, 0.3)),
  (b, x) => op.add(b, x, op.reduceMax(b, x, { axes: [-1] })),
  (b, x) => op.sub(b, x, op.reduceMin(b, x, { axes: [-1] })),
];

/** From `x` [2, 24], or [1, 3, 16, 16] for convolutions, to `y`. */
export function randomNetwork(kind: NetworkKind, random: Random): Graph {
  const b = new GraphBuilder(kind);
  b.output('y', kind === 'convolutions' ? convolutions(b, random) : layers(b, kind, random));
  return b.build();
}

function layers(b: GraphBuilder, kind: 'smooth' | 'kinks' | 'choices', random: Random): Value {
  const activations = { smooth: SMOOTH, kinks: KINKS, choices: CHOICES }[kind];
  let width = 24;
  let x = b.input('x', 'float32', [2, width]);
  const depth = 2 + random.below(4);
  for (let layer = 0; layer < depth; layer += 1) {
    const next = 8 + 8 * random.below(4);
    x = op.add(b, op.matMul(b, x, weights(b, [width, next], width, random)), weights(b, [next], 4, random));
    if (random.next() < 0.3) {
      x = op.layerNormalization(b, x, weights(b, [next], 1, random), undefined);
    }
    x = random.pick(activations)(b, x);
    width = next;
  }
  return x;
}

function convolutions(b: GraphBuilder, random: Random): Value {
  let channels = 3;
  let x = b.input('x', 'float32', [1, channels, 16, 16]);
  const depth = 4 + random.below(6);
  for (let layer = 0; layer < depth; layer += 1) {
    const next = 8 + 8 * random.below(2);
    const kernel = weights(b, [next, channels, 3, 3], channels * 9, random);
    const y = op.conv(b, x, kernel, weights(b, [next], 4, random), { pads: [1, 1, 1, 1] });
    const activated = random.pick([...KINKS, ...SMOOTH.slice(0, 5)])(b, y);
    x = next === channels && random.next() < 0.5 ? op.add(b, x, activated) : activated;
    channels = next;
    if (layer === 2) x = op.maxPool(b, x, { kernelShape: [2, 2], strides: [2, 2] });
    if (layer === 5) x = op.averagePool(b, x, { kernelShape: [2, 2], strides: [2, 2] });
  }
  return op.globalAveragePool(b, x);
}

/** Normal, of the deviation that keeps the size of what goes through a product of `fanIn` terms. */
function weights(b: GraphBuilder, shape: readonly number[], fanIn: number, random: Random): Value {
  const std = fanIn ** -0.5;
  return b.constant(
    float32(
      Float32Array.from({ length: elementCount(shape) }, () => std * random.normal()),
      shape,
    ),
  );
}
