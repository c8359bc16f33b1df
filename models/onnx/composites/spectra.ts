/**
 * @file Windows, and spectra of pieces of a signal, from Fourier transforms and cosines.
 */
import { DTYPES, dtypeOf } from '../dtype.ts';
import type { Value } from '../graph.ts';
import { int } from '../graph.ts';
import * as op from '../ops.ts';
import type { Composite, CompositeContext, CompositeTable } from './composite.ts';
import { knownSize, problem, sequence, withRank } from './composite.ts';

/** a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N), N one less where the window is symmetric. */
const window =
  (a0: number, a1: number, a2: number): Composite =>
  (context) => {
    const { b, attributes, required } = context;
    const asked = attributes.int('output_datatype', DTYPES.float32.onnx);
    const dtype = dtypeOf(asked);
    if (!dtype) throw problem(context, `output_datatype ${asked} is no supported element type`);
    const size = op.cast(b, required(0), 'int64');
    if (size.shape.length !== 0) throw problem(context, 'expected its size as a scalar');
    const places = op.cast(b, op.range(b, b.scalar(0, 'int64'), size, b.scalar(1, 'int64')), 'float32');
    const length = attributes.int('periodic', 1) === 1 ? size : op.sub(b, size, b.scalar(1, 'int64'));
    const angles = op.div(b, op.mulScalar(b, places, 2 * Math.PI), op.cast(b, length, 'float32'));
    const first = op.sub(b, b.scalar(a0), op.mulScalar(b, op.cos(b, angles), a1));
    const all = a2 === 0 ? first : op.add(b, first, op.mulScalar(b, op.cos(b, op.mulScalar(b, angles, 2)), a2));
    return [op.cast(b, all, dtype)];
  };

/** 0, step, 2 step ... for each piece of a signal; constants where its length is known. */
function beginnings(context: CompositeContext, signal: Value, length: number, step: number): Value {
  const { b } = context;
  const size = signal.shape[1]!;
  if (typeof size === 'number') {
    const count = Math.max(0, Math.floor((size - length) / step) + 1);
    return sequence(b, count, step);
  }
  const whole = op.squeeze(b, b.node('Shape', [signal], { start: int(1), end: int(2) })[0]!, [0]);
  const end = op.add(b, whole, b.scalar(1 - length, 'int64'));
  return op.range(b, b.scalar(0, 'int64'), end, b.scalar(step, 'int64'));
}

/** A signal [B, length, 1 or 2], real or complex, to spectra [B, pieces, frequencies, 2]. PyTorch writes [B, length] for a real one. */
const stft: Composite = (context) => {
  const { b, attributes, required, optional } = context;
  const given = withRank(context, 0, 2, 3);
  const signal = given.shape.length === 2 ? op.unsqueeze(b, given, [2]) : given;
  const whole = (at: number): number | undefined => {
    const input = optional(at);
    const known = input && b.dimsOf(input)?.[0];
    return typeof known === 'number' ? known : undefined;
  };
  required(1);
  const step = whole(1);
  const weights = optional(2);
  const length = whole(3) ?? (weights && knownSize(context, weights, 0));
  if (step === undefined || step < 1 || length === undefined || length < 1) {
    throw problem(context, 'its step and the length of its pieces must be known');
  }
  const own = sequence(b, length);
  const places = op.add(b, op.unsqueeze(b, beginnings(context, signal, length, step), [1]), own);
  const pieces = op.gather(b, signal, places, 1);
  const weighted = weights ? op.mul(b, pieces, op.unsqueeze(b, weights, [1])) : pieces;
  const onesided = attributes.int('onesided', 1);
  return b.node('DFT', [weighted, undefined, b.scalar(2, 'int64')], { onesided: int(onesided) });
};

export const spectralComposites: CompositeTable = {
  HannWindow: window(0.5, 0.5, 0),
  HammingWindow: window(25 / 46, 21 / 46, 0),
  BlackmanWindow: window(0.42, 0.5, 0.08),
  STFT: stft,
};
