/**
 * @file Inference of Fourier transforms, of weights of frequencies, and of counts of phrases.
 */
import type { Dim, Shape } from '../shapes.ts';
import { formatShape, unknownDim } from '../shapes.ts';
import { axisOf, numbersOf, problem, required } from './context.ts';
import type { InferRule } from './rule.ts';

/** Words [C] or [N, C] -> how often each phrase stands there. */
const tfIdfVectorizer: InferRule = (context) => {
  const x = required(context, 0);
  const places = context.attributes.ints('ngram_indexes') ?? [];
  if (x.shape.length < 1 || x.shape.length > 2 || places.length === 0)
    throw problem(context, `words ${formatShape(x.shape)} and ${places.length} phrases do not fit`);
  return [{ dtype: 'float32', shape: [...x.shape.slice(0, -1), Math.max(...places) + 1] }];
};

/** Real [..., n, 1] or complex [..., n, 2] along an axis to complex ones. */
const dft: InferRule = (context) => {
  const x = required(context, 0);
  const rank = x.shape.length;
  const last = x.shape.at(-1);
  if (rank < 2 || (typeof last === 'number' && last !== 1 && last !== 2))
    throw problem(context, `found ${formatShape(x.shape)}, expected real or complex numbers along the last axis`);
  const given = numbersOf(context, 2);
  if (given === 'unknown') throw problem(context, 'its axis must be known');
  const axis = axisOf(context, given?.[0] ?? -2, rank);
  if (axis === rank - 1) throw problem(context, 'its axis is that of real and imaginary parts');
  const asked = numbersOf(context, 1);
  const length = asked === undefined ? x.shape[axis]! : asked === 'unknown' ? unknownDim() : asked[0]!;
  const isHalf = context.attributes.int('onesided', 0) === 1;
  const isInverse = context.attributes.int('inverse', 0) === 1;
  if (isHalf && isInverse)
    return [{ dtype: x.dtype, shape: realFromHalf(x.shape, axis, asked === undefined ? undefined : length) }];
  const half = (): Dim => (typeof length === 'number' ? Math.floor(length / 2) + 1 : unknownDim());
  const size = isHalf ? half() : length;
  return [{ dtype: x.dtype, shape: x.shape.map((dim, at) => (at === axis ? size : at === rank - 1 ? 2 : dim)) }];
};

/** Real numbers from the half of their frequencies: one even number of them if nothing is said. */
function realFromHalf(shape: Shape, axis: number, asked: Dim | undefined): Shape {
  const bins = shape[axis]!;
  const length = asked ?? (typeof bins === 'number' ? 2 * (bins - 1) : unknownDim());
  return shape.map((dim, at) => (at === axis ? length : at === shape.length - 1 ? 1 : dim));
}

/** [dft_length / 2 + 1, bins] */
const melWeightMatrix: InferRule = (context) => {
  const first = (at: number): number | undefined => {
    const numbers = numbersOf(context, at);
    return Array.isArray(numbers) ? (numbers[0] as number) : undefined;
  };
  required(context, 4);
  const [bins, length] = [first(0), first(1)];
  return [
    {
      dtype: 'float32',
      shape: [length === undefined ? unknownDim() : Math.floor(length / 2) + 1, bins ?? unknownDim()],
    },
  ];
};

export const spectralRules: Readonly<Record<string, InferRule>> = {
  DFT: dft,
  MelWeightMatrix: melWeightMatrix,
  TfIdfVectorizer: tfIdfVectorizer,
};
