/**
 * @file Sinusoidal features of timesteps (Ho et al. 2020, after Vaswani et al. 2017, section 3.5) and the two layers that
 * follow them.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Tensor } from '../onnx/dtype.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import type { Activation } from './activation.ts';
import { linear } from './linear.ts';
import type { Scope } from './scope.ts';

/** Longest period of the features, in units of 2 pi timesteps. */
const MAX_PERIOD = 10_000;

export interface TimestepFeatures {
  /** Number of features. */
  readonly width: number;
  /** Cosines first. */
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
  /** Timesteps are whole numbers from 0 and below this: a table of their features becomes part of the graph. */
  readonly below?: number;
}

/**
 * timesteps [N] of any number type -> float32 [N, width]: sin(t f_i), cos(t f_i), f_i = 10000^(-i / (half - freqShift)).
 * A missing last feature of an odd width is 0.
 *
 * Angles are float64: t f rounded to float32 is off by up to 3e-5 at t = 1000, and a U-Net amplifies that tenfold.
 */
export function timestepFeatures(b: GraphBuilder, timesteps: Value, options: TimestepFeatures): Value {
  const { width, flipSinToCos } = options;
  const half = Math.floor(width / 2);
  if (options.below !== undefined) {
    return op.gather(b, b.constant(tableOf(options, options.below), 'features'), op.cast(b, timesteps, 'int32'));
  }
  const frequencies = frequenciesOf(options);
  const rates = b.constant({ dtype: 'float64', shape: [1, half], data: frequencies }, 'frequencies');
  const angles = op.mul(b, op.unsqueeze(b, op.cast(b, timesteps, 'float64'), [1]), rates);
  const sines = op.sin(b, angles);
  // Not every provider has a float64 cosine.
  const cosines = op.sin(b, op.addScalar(b, angles, Math.PI / 2));
  const pair = flipSinToCos ? [cosines, sines] : [sines, cosines];
  const features = op.cast(b, op.concat(b, pair, 1), 'float32');
  return width % 2 === 0 ? features : op.pad(b, features, [0, 0, 0, 1]);
}

function frequenciesOf({ width, freqShift }: TimestepFeatures): Float64Array {
  const half = Math.floor(width / 2);
  return Float64Array.from({ length: half }, (_, i) => MAX_PERIOD ** (-i / (half - freqShift)));
}

/** The features of 0, 1 ... below `count`, [count, width]. */
function tableOf(options: TimestepFeatures, count: number): Tensor {
  const { width, flipSinToCos } = options;
  const frequencies = frequenciesOf(options);
  const values = new Float32Array(count * width);
  for (let t = 0; t < count; t += 1) {
    frequencies.forEach((frequency, i) => {
      const [sine, cosine] = [Math.sin(t * frequency), Math.cos(t * frequency)];
      values.set([flipSinToCos ? cosine : sine], t * width + i);
      values.set([flipSinToCos ? sine : cosine], t * width + frequencies.length + i);
    });
  }
  return float32(values, [count, width]);
}

export interface TimestepEmbedding {
  readonly width: number;
  readonly act: Activation;
  /** After the second layer. */
  readonly postAct?: Activation | undefined;
}

/** features [N, in] -> [N, width]. Weights: "linear_1", "linear_2". */
export function timestepEmbedding(
  b: GraphBuilder,
  weights: Scope,
  features: Value,
  { width, act, postAct }: TimestepEmbedding,
): Value {
  const hidden = act(
    b,
    weights.enter(b, 'linear_1', (w) => linear(b, w, features, width)),
  );
  const embedding = weights.enter(b, 'linear_2', (w) => linear(b, w, hidden, width));
  return postAct ? postAct(b, embedding) : embedding;
}
