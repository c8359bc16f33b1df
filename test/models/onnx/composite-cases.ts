/**
 * @file Operators that are taken apart while they are read, each as a file of one node as exporters write it.
 */
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { DTYPES, elementCount, float32, int64 } from '../../../models/onnx/dtype.ts';
import { AttributeProto_AttributeType as AttributeType } from '../../../models/onnx/onnx_pb.ts';
import type { AttributeInit } from '../../support/foreign-model.ts';
import { foreignModel, intAttribute, intsAttribute, tensorType } from '../../support/foreign-model.ts';

export const random = (shape: readonly number[], seed: number): Tensor =>
  float32(
    Array.from({ length: elementCount(shape) }, (_, at) => Math.sin(seed + 7 * at * at)),
    shape,
  );
export const bools = (values: readonly number[], shape: readonly number[]): Tensor => ({
  dtype: 'bool',
  shape,
  data: Uint8Array.from(values),
});
export const decimal = (name: string, f: number): AttributeInit => ({ name, type: AttributeType.FLOAT, f });
export const text = (name: string, s: string): AttributeInit => ({
  name,
  type: AttributeType.STRING,
  s: new TextEncoder().encode(s),
});

export interface CompositeCase {
  readonly name: string;
  readonly op: string;
  readonly opset?: number;
  readonly attributes?: AttributeInit[];
  /** Inputs in order; undefined is left out. */
  readonly inputs: readonly (Tensor | undefined)[];
  /** Number of outputs. */
  readonly outputs?: number;
  /** Inputs that stand in the file, as exporters write them. */
  readonly fixed?: readonly number[];
  /** Sizes that the file leaves open: input and axis. */
  readonly open?: readonly string[];
}

const heads = [intAttribute('q_num_heads', 4), intAttribute('kv_num_heads', 2)];
/** Queries, keys and values by heads. */
export const four = [random([2, 4, 3, 5], 1), random([2, 2, 6, 5], 2), random([2, 2, 6, 7], 3)];
/** The same, heads side by side. */
export const three = [random([2, 3, 20], 1), random([2, 6, 10], 2), random([2, 6, 14], 3)];
const past = [random([2, 2, 4, 5], 5), random([2, 2, 4, 7], 6)];
const keep = Array.from({ length: 18 }, (_, at) => Number(at % 3 !== 1));
/** Scores and classes. */
export const scores = [random([3, 4, 2], 1), int64([0, 3, 1, 2, 2, 1], [3, 2])];
const ignored = [random([3, 4, 2], 1), int64([0, -5, 1, 2, -5, 1], [3, 2]), float32([1, 0.5, 2, 0.25])];
const angles = [random([2, 3, 2], 8), random([2, 3, 2], 9)];

export const COMPOSITE_CASES: readonly CompositeCase[] = [
  { name: 'shared heads', op: 'Attention', inputs: four },
  { name: 'three axes', op: 'Attention', attributes: heads, inputs: three },
  {
    name: 'three axes, batch and lengths open',
    op: 'Attention',
    attributes: [...heads, intAttribute('is_causal', 1)],
    inputs: three,
    open: ['0.0', '0.1', '1.0', '1.1', '2.0', '2.1'],
  },
  {
    name: 'a cap and a scale',
    op: 'Attention',
    attributes: [decimal('softcap', 0.7), decimal('scale', 0.9)],
    inputs: four,
  },
  { name: 'an added mask', op: 'Attention', inputs: [...four, random([3, 6], 4)] },
  { name: 'a mask of truth values', op: 'Attention', inputs: [...four, bools(keep, [3, 6])] },
  {
    name: 'the past, what is shown of the products',
    op: 'Attention',
    attributes: [intAttribute('is_causal', 1), intAttribute('qk_matmul_output_mode', 3)],
    inputs: [...four, random([3, 10], 4), ...past],
    outputs: 4,
  },
  { name: 'halves', op: 'RotaryEmbedding', inputs: [random([2, 3, 3, 4], 1), ...angles] },
  {
    name: 'pairs, a part of each head, three axes',
    op: 'RotaryEmbedding',
    attributes: [intAttribute('interleaved', 1), intAttribute('rotary_embedding_dim', 4), intAttribute('num_heads', 3)],
    inputs: [random([2, 3, 18], 1), ...angles],
  },
  {
    name: 'places by number',
    op: 'RotaryEmbedding',
    inputs: [random([2, 2, 3, 4], 1), random([5, 2], 8), random([5, 2], 9), int64([0, 2, 4, 1, 1, 3], [2, 3])],
    open: ['0.0', '0.2'],
  },
  { name: 'the mean', op: 'SoftmaxCrossEntropyLoss', opset: 13, inputs: scores, outputs: 2 },
  {
    name: 'the sum',
    op: 'SoftmaxCrossEntropyLoss',
    opset: 13,
    attributes: [text('reduction', 'sum')],
    inputs: scores,
    open: ['0.0', '1.0'],
  },
  {
    name: 'weights and ignored places',
    op: 'SoftmaxCrossEntropyLoss',
    opset: 13,
    attributes: [intAttribute('ignore_index', -5)],
    inputs: ignored,
  },
  { name: 'none', op: 'NegativeLogLikelihoodLoss', opset: 13, attributes: [text('reduction', 'none')], inputs: scores },
  {
    name: 'ignored places without weights',
    op: 'NegativeLogLikelihoodLoss',
    opset: 13,
    attributes: [intAttribute('ignore_index', -5)],
    inputs: ignored.slice(0, 2),
  },
  {
    name: 'the last axes',
    op: 'RMSNormalization',
    attributes: [intAttribute('axis', 1)],
    inputs: [random([2, 3, 4], 1), random([3, 4], 2)],
  },
  { name: 'a gate', op: 'Swish', opset: 24, attributes: [decimal('alpha', 1.7)], inputs: [random([3, 4], 1)] },
  { name: 'images', op: 'MeanVarianceNormalization', opset: 13, inputs: [random([2, 3, 4, 2], 1)] },
  {
    name: 'one axis cut, one filled',
    op: 'CenterCropPad',
    opset: 18,
    attributes: [intsAttribute('axes', [-1, 0])],
    inputs: [random([4, 3, 7], 1), int64([4, 9])],
  },
  {
    name: 'patches that overlap',
    op: 'Col2Im',
    opset: 18,
    attributes: [intsAttribute('strides', [2, 1]), intsAttribute('pads', [0, 1, 0, 1])],
    inputs: [random([2, 12, 10], 1), int64([6, 4]), int64([3, 2])],
    fixed: [1, 2],
    open: ['0.0'],
  },
  {
    name: 'dilated patches',
    op: 'Col2Im',
    opset: 18,
    attributes: [intsAttribute('dilations', [1, 2])],
    inputs: [random([1, 8, 15], 1), int64([6, 5]), int64([2, 2])],
    fixed: [1, 2],
  },
  {
    name: 'from a place on',
    op: 'TensorScatter',
    opset: 24,
    inputs: [random([2, 5, 3], 1), random([2, 2, 3], 2), int64([3, 1])],
  },
  {
    name: 'round the end',
    op: 'TensorScatter',
    opset: 24,
    attributes: [text('mode', 'circular')],
    inputs: [random([2, 3, 5, 2], 1), random([2, 3, 2, 2], 2), int64([4, 1])],
    open: ['0.0', '0.1'],
  },
  { name: 'all so far', op: 'CumProd', opset: 26, inputs: [random([2, 4], 1), int64([1], [])], fixed: [1] },
  { name: 'more than a hundred', op: 'CumProd', opset: 26, inputs: [random([130], 1), int64([0], [])], fixed: [1] },
  {
    name: 'all that follow',
    op: 'CumProd',
    opset: 26,
    attributes: [intAttribute('reverse', 1), intAttribute('exclusive', 1)],
    inputs: [random([4, 2], 1), int64([0], [])],
    fixed: [1],
  },
  {
    name: 'pieces under a window',
    op: 'STFT',
    opset: 17,
    inputs: [random([2, 23, 1], 1), int64([4], []), random([8], 2), int64([8], [])],
    fixed: [1, 3],
  },
  {
    name: 'a signal without an axis for its parts',
    op: 'STFT',
    opset: 17,
    inputs: [random([2, 23], 1), int64([4], []), random([8], 2), int64([8], [])],
    fixed: [1, 3],
  },
  {
    name: 'all frequencies of complex pieces, length open',
    op: 'STFT',
    opset: 17,
    attributes: [intAttribute('onesided', 0)],
    inputs: [random([1, 20, 2], 1), int64([3], []), undefined, int64([6], [])],
    fixed: [1, 3],
    open: ['0.1'],
  },
  ...['HannWindow', 'HammingWindow', 'BlackmanWindow'].flatMap((op) =>
    [0, 1].map((periodic) => ({
      name: periodic ? 'periodic' : 'symmetric',
      ...{ op, opset: 17, attributes: [intAttribute('periodic', periodic)], inputs: [int64([9], [])] },
    })),
  ),
];

/** A model of one node: inputs `x0`, `x1` ..., outputs `y`, `y1` ... */
export function compositeModel({
  op,
  opset = 23,
  attributes = [],
  inputs,
  outputs = 1,
  open = [],
  fixed = [],
}: CompositeCase): Uint8Array {
  const given = inputs.flatMap((tensor, at) => (tensor ? [{ tensor, at }] : []));
  const names = Array.from({ length: outputs }, (_, at) => (at === 0 ? 'y' : `y${at}`));
  return foreignModel(
    {
      input: given
        .filter(({ at }) => !fixed.includes(at))
        .map(({ tensor: { dtype, shape }, at }) => ({
          name: `x${at}`,
          type: tensorType(
            DTYPES[dtype].onnx,
            shape.map((size, axis) => (open.includes(`${at}.${axis}`) ? `size${size}` : size)),
          ),
        })),
      node: [
        {
          opType: op,
          input: inputs.map((tensor, at) => (tensor ? `x${at}` : '')),
          output: names,
          attribute: attributes,
        },
      ],
      initializer: given
        .filter(({ at }) => fixed.includes(at))
        .map(({ tensor, at }) => ({
          name: `x${at}`,
          dataType: DTYPES[tensor.dtype].onnx,
          dims: tensor.shape.map(BigInt),
          int64Data: Array.from(tensor.data as BigInt64Array),
        })),
      output: names.map((name) => ({ name })),
    },
    { opset },
  );
}
