/**
 * @file Inference of random numbers.
 */
import type { DType } from '../dtype.ts';
import { DTYPES, dtypeOf } from '../dtype.ts';
import { problem, rankOf, required } from './context.ts';
import type { InferContext, InferRule } from './rule.ts';

function typeOf(context: InferContext, fallback: DType): DType {
  const asked = context.attributes.int('dtype', DTYPES[fallback].onnx);
  const dtype = dtypeOf(asked);
  if (!dtype) throw problem(context, `attribute "dtype" is ${asked}, which is no supported element type`);
  return dtype;
}

const shaped: InferRule = (context) => {
  const shape = context.attributes.ints('shape');
  if (!shape) throw problem(context, 'has no shape');
  return [{ dtype: typeOf(context, 'float32'), shape }];
};

const like: InferRule = (context) => {
  const x = required(context, 0);
  return [{ dtype: typeOf(context, x.dtype), shape: x.shape }];
};

/** Logarithms of probabilities [N, classes] -> classes [N, sample_size]. */
const multinomial: InferRule = (context) => {
  const x = rankOf(context, 0, 2);
  return [{ dtype: typeOf(context, 'int32'), shape: [x.shape[0]!, context.attributes.int('sample_size', 1)] }];
};

export const randomRules: Readonly<Record<string, InferRule>> = {
  RandomNormal: shaped,
  RandomUniform: shaped,
  RandomNormalLike: like,
  RandomUniformLike: like,
  Bernoulli: like,
  Multinomial: multinomial,
};
