/**
 * @file Inference of quantised numbers: x is stored as round(x / scale) + zero point in a small integer type.
 */
import type { DType } from '../dtype.ts';
import { dtypeOf, isFloat } from '../dtype.ts';
import type { Value } from '../graph.ts';
import { formatShape } from '../shapes.ts';
import type { InferContext, Inferred, InferRule } from './rule.ts';
import { axisOf, expectEqual, problem, required } from './context.ts';
import { productRules } from './products.ts';

/** Scale and zero point are one number, or one per place along an axis. */
function checkParameters(context: InferContext, x: Value): void {
  if (context.attributes.int('block_size', 0) !== 0) throw problem(context, 'scales per block are not supported');
  for (const at of [1, 2]) {
    const parameter = context.inputs[at];
    if (!parameter || parameter.shape.length === 0) continue;
    if (parameter.shape.length > 1) {
      throw problem(context, `input ${at} has shape ${formatShape(parameter.shape)}, expected one number or a vector`);
    }
    // One number may come as a vector of one.
    if (parameter.shape[0] === 1) continue;
    const axis = axisOf(context, context.attributes.int('axis', 1), x.shape.length);
    expectEqual(context, parameter.shape[0]!, x.shape[axis]!, `length of input ${at} and of axis ${axis}`);
  }
}

function storedType(context: InferContext, zero: Value | undefined): DType {
  const asked = context.attributes.int('output_dtype', 0);
  const dtype = asked === 0 ? (zero?.dtype ?? 'uint8') : dtypeOf(asked);
  if (!dtype || isFloat(dtype)) throw problem(context, `numbers of type ${dtype ?? asked}, expected whole numbers`);
  return dtype;
}

const quantize: InferRule = (context) => {
  const x = required(context, 0);
  required(context, 1);
  checkParameters(context, x);
  return [{ dtype: storedType(context, context.inputs[2]), shape: x.shape }];
};

const dequantize: InferRule = (context) => {
  const [x, scale] = [required(context, 0), required(context, 1)];
  if (isFloat(x.dtype)) throw problem(context, `input 0 is ${x.dtype}, expected whole numbers`);
  checkParameters(context, x);
  return [{ dtype: scale.dtype, shape: x.shape }];
};

const dynamicQuantize: InferRule = (context) => {
  const x = required(context, 0);
  const outputs: Inferred[] = [
    { dtype: 'uint8', shape: x.shape },
    { dtype: 'float32', shape: [] },
    { dtype: 'uint8', shape: [] },
  ];
  return outputs.slice(0, context.outputs);
};

/** The same operator on real numbers, of inputs `at`; both may have a whole type of their own. */
function like(op: string, at: readonly number[], result: (context: InferContext) => DType): InferRule {
  return (context) => {
    const values = at.map((input) => required(context, input));
    const inputs = values.map((value): Value => ({ ...value, dtype: 'float32' }));
    const [made] = productRules[op]!({ ...context, op, inputs });
    return [{ dtype: result(context), shape: made!.shape }];
  };
}

export const quantisationRules: Readonly<Record<string, InferRule>> = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
  MatMulInteger: like('MatMul', [0, 1], () => 'int32'),
  ConvInteger: like('Conv', [0, 1], () => 'int32'),
  QLinearMatMul: like('MatMul', [0, 3], (context) => required(context, 7).dtype),
  QLinearConv: like('Conv', [0, 3], (context) => required(context, 7).dtype),
};
