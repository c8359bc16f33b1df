/**
 * @file Random uses of operators of detectors, of spectra, of bits and of random numbers: the other half of `operator-cases.ts`.
 */
import { DTYPES } from '../../models/onnx/dtype.ts';
import { float, int, ints, text } from '../../models/onnx/graph.ts';
import * as op from '../../models/onnx/ops.ts';
import type { Case } from './operator-cases.ts';

const bits =
  (name: string): Case =>
  (c) => {
    const shape = c.dims(2);
    const pair = [c.input(shape, 'int64', 5), c.input([shape[1]!], 'int64', 5)];
    return c.node(name, c.below(2) === 0 ? pair : pair.reverse());
  };

export const MORE_CASES: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(['BitwiseAnd', 'BitwiseOr', 'BitwiseXor'].map((name) => [name, bits(name)])),
  BitShift: (c) => {
    const shape = c.dims(2);
    const [x, by] = [shape, [shape[1]!]].map((dims) => op.cast(c.b, c.input(dims, 'int64', 5), 'uint64'));
    return c.node('BitShift', [x, by], { direction: text(c.of('LEFT', 'RIGHT')) });
  },
  NonMaxSuppression: (c) => {
    const [batch, count] = [c.dim(), c.dim()];
    const boxes = c.input([batch, count, 4]);
    return c.node('NonMaxSuppression', [boxes, c.input([batch, c.dim(), count]), c.b.int64([2])]);
  },
  RoiAlign: (c) => {
    const regions = c.dim();
    const inputs = [c.input([2, c.dim(), c.long(), c.long()]), c.input([regions, 4]), c.input([regions], 'int64', 2)];
    return c.node('RoiAlign', inputs, { output_height: int(1 + c.below(3)), output_width: int(1 + c.below(3)) });
  },
  DeformConv: (c) => {
    const batch = c.dim();
    const inputs = [c.input([batch, 2, 6, 5]), c.input([3, 2, 2, 2]), c.input([batch, 8, 5, 4])];
    return c.node('DeformConv', inputs, { kernel_shape: ints([2, 2]) });
  },
  MaxUnpool: (c) => {
    const shape = [c.dim(), c.dim(), 3, 2];
    const attributes = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
    return c.node('MaxUnpool', [c.input(shape), c.input(shape, 'int64', 1)], attributes);
  },
  Unique: (c) =>
    c.node('Unique', [c.input(c.dims(2))], c.of({}, { axis: int(-1) }, { sorted: int(0) }), 1 + c.below(4)),
  ReverseSequence: (c) => {
    const [steps, batch] = c.dims(2);
    const lengths = c.input([batch!], 'int64', 1);
    return c.node('ReverseSequence', [c.input([steps!, batch!, c.dim()]), lengths], {
      time_axis: int(0),
      batch_axis: int(1),
    });
  },
  Det: (c) => c.node('Det', [c.input([...c.dims(c.below(3)), 3, 3])]),
  TfIdfVectorizer: (c) =>
    c.node('TfIdfVectorizer', [c.input(c.below(2) ? [c.dim(), c.long()] : [c.long()], 'int64', 9)], {
      ...{ min_gram_length: int(1), max_gram_length: int(2), max_skip_count: int(1), mode: text('TF') },
      ...{ ngram_counts: ints([0, 2]), ngram_indexes: ints([0, 1, 4, 2]), pool_int64s: ints([2, 3, 5, 4, 5, 6]) },
    }),
  DFT: (c) => {
    const isComplex = c.below(2) === 0;
    const x = c.input([c.dim(), c.long(), c.dim(), isComplex ? 2 : 1]);
    const axis = c.of(1, 2, -2, -3);
    const length = c.below(2) ? c.b.scalar(4 + c.below(9), 'int64') : undefined;
    // onnxruntime takes the inverse of complex numbers only, and half of the frequencies of real ones.
    const attributes = isComplex ? { inverse: int(c.below(2)) } : { onesided: int(c.below(2)) };
    return c.node('DFT', [x, length, c.b.scalar(axis, 'int64')], attributes);
  },
  MelWeightMatrix: (c) => {
    const [bins, length] = [2 + c.below(3), 32 + c.below(9)];
    const wholes = [bins, length, 8000].map((value) => c.b.scalar(value, 'int64'));
    return c.node('MelWeightMatrix', [...wholes, c.b.scalar(10), c.b.scalar(3000)]);
  },
  RandomNormal: (c) => c.node('RandomNormal', [], { shape: ints([2, 1 + c.below(3)]), mean: float(1) }),
  RandomUniform: (c) =>
    c.node('RandomUniform', [], { shape: ints([1 + c.below(3)]), dtype: int(DTYPES.float64.onnx), low: float(1) }),
  RandomNormalLike: (c) => c.node('RandomNormalLike', [c.input(c.dims(3))]),
  RandomUniformLike: (c) => c.node('RandomUniformLike', [c.input(c.dims(2))], { dtype: int(DTYPES.float64.onnx) }),
  Bernoulli: (c) => c.node('Bernoulli', [c.input(c.dims(2))], c.of({}, { dtype: int(DTYPES.int64.onnx) })),
  Multinomial: (c) => c.node('Multinomial', [c.input([c.dim(), 4])], { sample_size: int(1 + c.below(3)) }),
};
