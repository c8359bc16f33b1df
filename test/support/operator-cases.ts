/**
 * @file One random use of every operator that inference knows: shapes with symbols, attributes over their range. Shared by
 * the tests that compare what is inferred with what onnxruntime makes.
 */
import type { GraphBuilder } from '../../models/onnx/builder.ts';
import type { DType, Tensor } from '../../models/onnx/dtype.ts';
import { DTYPES, float32, int64 } from '../../models/onnx/dtype.ts';
import type { Attributes, Value } from '../../models/onnx/graph.ts';
import { float, int, ints, text } from '../../models/onnx/graph.ts';
import * as op from '../../models/onnx/ops.ts';
import type { Dim, Shape } from '../../models/onnx/shapes.ts';
import { MORE_CASES } from './operator-cases-more.ts';

export interface CaseContext {
  readonly b: GraphBuilder;
  /** A whole number below `n`. */
  below(n: number): number;
  /** One of these. */
  of<T>(...values: readonly T[]): T;
  /** A size from 1 to 5, or a symbol. */
  dim(): Dim;
  /** A size from 9 to 12, or a symbol for one. */
  long(): Dim;
  /** `rank` sizes, each as `dim` gives them. */
  dims(rank: number): Dim[];
  /** An input of the graph; `below` bounds whole numbers. */
  input(shape: Shape, dtype?: DType, below?: number): Value;
  node(op: string, inputs: readonly (Value | undefined)[], attributes?: Attributes, outputs?: number): Value[];
}

export type Case = (c: CaseContext) => readonly Value[];

const unary: (op: string, attributes?: Attributes) => Case =
  (name, attributes = {}) =>
  (c) =>
    c.node(name, [c.input(c.dims(c.below(4)))], attributes);

/** A shape that broadcasts against `shape`: some axes 1, some leading axes left out. */
function broadcastable(c: CaseContext, shape: Shape): Dim[] {
  return shape.map((dim) => (c.below(3) === 0 ? 1 : dim)).slice(c.below(shape.length + 1));
}

const binary: (op: string, dtype?: DType) => Case =
  (name, dtype = 'float32') =>
  (c) => {
    const shape = c.dims(c.below(4));
    const pair = [c.input(shape, dtype, 5), c.input(broadcastable(c, shape), dtype, 5)];
    return c.node(name, c.below(2) === 0 ? pair : pair.reverse());
  };

const variadic: (op: string) => Case = (name) => (c) => {
  const shape = c.dims(1 + c.below(3));
  const inputs = Array.from({ length: 1 + c.below(3) }, () => c.input(broadcastable(c, shape)));
  return c.node(name, [...inputs, c.input(shape)]);
};

const reduction: (op: string) => Case = (name) => (c) => {
  const rank = c.below(4);
  const x = c.input(c.dims(rank));
  const axes = x.shape.map((_, axis) => axis - c.below(2) * rank).filter(() => c.below(2) === 0);
  const attributes = { keepdims: int(c.below(2)), noop_with_empty_axes: int(c.below(2)) };
  const given = c.of('none', 'constant', 'constant');
  return c.node(name, [x, given === 'none' ? undefined : c.b.int64(axes)], attributes);
};

const argReduction: (op: string) => Case = (name) => (c) => {
  const rank = 1 + c.below(3);
  return c.node(name, [c.input(c.dims(rank))], { axis: int(c.below(2 * rank) - rank), keepdims: int(c.below(2)) });
};

const alongAxis: (op: string) => Case = (name) => (c) => {
  const rank = 1 + c.below(3);
  return c.node(name, [c.input(c.dims(rank))], { axis: int(c.below(2 * rank) - rank) });
};

/** Window attributes for two spatial axes. */
function windowAttributes(c: CaseContext, kernel: readonly number[], withDilations = true): Attributes {
  const mode = c.of('NOTSET', 'NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER');
  const dilations = kernel.map(() => (withDilations && !mode.startsWith('SAME') ? 1 + c.below(2) : 1));
  return {
    auto_pad: text(mode),
    // onnxruntime refuses windows of SAME that leave gaps.
    strides: ints(kernel.map((size) => 1 + c.below(mode.startsWith('SAME') ? size : 3))),
    ...(withDilations && { dilations: ints(dilations) }),
    ...(mode === 'NOTSET' && { pads: ints([...kernel, ...kernel].map((size) => c.below(size))) }),
  };
}

const pool: (op: string, outputs?: number) => Case =
  (name, outputs = 1) =>
  (c) => {
    const kernel = [1 + c.below(3), 1 + c.below(3)];
    const ceil = { ceil_mode: int(c.below(2)) };
    return c.node(
      name,
      [c.input([c.dim(), c.dim(), c.long(), c.long()])],
      { kernel_shape: ints(kernel), ...windowAttributes(c, kernel), ...ceil },
      outputs,
    );
  };

const globalPool: (op: string) => Case = (name) => (c) => c.node(name, [c.input([c.dim(), ...c.dims(2), c.dim()])]);

/** A permutation of 0 .. rank - 1. */
function permutation(c: CaseContext, rank: number): number[] {
  const rest = Array.from({ length: rank }, (_, axis) => axis);
  return Array.from({ length: rank }, () => rest.splice(c.below(rest.length), 1)[0]!);
}

/** A scale and a zero point. */
function quantiser(c: CaseContext): Value[] {
  return [c.b.scalar(0.1), op.cast(c.b, c.b.scalar(3), 'uint8')];
}

const UNARY =
  `Abs Neg Sqrt Exp Log Erf Tanh Sigmoid Relu Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Reciprocal
  Softplus Softsign HardSwish HardSigmoid Elu Selu Celu LeakyRelu ThresholdedRelu Mish Gelu Floor Ceil Round Sign Shrink
  Identity IsNaN IsInf`.split(/\s+/);

const CASES: Record<string, Case> = {
  ...Object.fromEntries(UNARY.map((name) => [name, unary(name)])),
  ...Object.fromEntries(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Greater', 'Less'].map((name) => [name, binary(name)])),
  ...Object.fromEntries(['Equal', 'GreaterOrEqual', 'LessOrEqual'].map((name) => [name, binary(name, 'int64')])),
  ...Object.fromEntries(['And', 'Or', 'Xor'].map((name) => [name, binary(name, 'bool')])),
  ...Object.fromEntries(['Min', 'Max', 'Sum', 'Mean'].map((name) => [name, variadic(name)])),
  ...Object.fromEntries(
    ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'].map((name) => [
      `Reduce${name}`,
      reduction(`Reduce${name}`),
    ]),
  ),
  ...Object.fromEntries(['ArgMax', 'ArgMin'].map((name) => [name, argReduction(name)])),
  ...Object.fromEntries(['Softmax', 'LogSoftmax', 'Hardmax', 'LpNormalization'].map((name) => [name, alongAxis(name)])),
  Mod: (c) => {
    const shape = c.dims(2);
    return c.node('Mod', [c.input(shape), c.b.constant(float32([3]))], { fmod: int(1) });
  },
  Not: (c) => c.node('Not', [c.input(c.dims(2), 'bool')]),
  BitwiseNot: (c) => c.node('BitwiseNot', [c.input(c.dims(2), 'int64', 9)]),
  Clip: (c) => [op.clip(c.b, c.input(c.dims(2)), { min: 0 })],
  PRelu: (c) => {
    const shape = c.dims(3);
    return c.node('PRelu', [c.input(shape), c.input(broadcastable(c, shape))]);
  },
  Dropout: (c) => c.node('Dropout', [c.input(c.dims(2))], {}, 1 + c.below(2)),
  Cast: (c) => [op.cast(c.b, c.input(c.dims(2)), c.of<DType>('int64', 'int32', 'bool', 'float64', 'float16', 'uint8'))],
  CastLike: (c) => c.node('CastLike', [c.input(c.dims(2)), c.input([1], 'int64', 3)]),
  Where: (c) => {
    const shape = c.dims(3);
    const parts = [broadcastable(c, shape), shape, broadcastable(c, shape)];
    return c.node('Where', [c.input(parts[0]!, 'bool'), c.input(parts[1]!), c.input(parts[2]!)]);
  },
  Trilu: (c) => [op.trilu(c.b, c.input(c.dims(3)), { upper: c.below(2) === 0, k: c.below(5) - 2 })],
  CumSum: (c) => [op.cumSum(c.b, c.input(c.dims(3)), c.below(6) - 3, { exclusive: true })],
  LRN: (c) => c.node('LRN', [c.input(c.dims(4))], { size: int(3) }),
  LayerNormalization: (c) => {
    const [outer, width] = [c.dims(2), 1 + c.below(5)];
    const inputs = [c.input([...outer, width]), c.input([width]), c.below(2) === 0 ? c.input([width]) : undefined];
    return c.node('LayerNormalization', inputs, { axis: int(c.of(-1, 2)) }, 1 + c.below(3));
  },
  GroupNormalization: (c) => {
    const x = c.input([c.dim(), 6, ...c.dims(2)]);
    return [op.groupNormalization(c.b, x, c.input([6]), c.input([6]), { numGroups: c.of(1, 2, 3, 6) })];
  },
  InstanceNormalization: (c) =>
    c.node('InstanceNormalization', [c.input([c.dim(), 3, ...c.dims(2)]), c.input([3]), c.input([3])]),
  BatchNormalization: (c) => {
    const parameters = Array.from({ length: 4 }, () => c.input([3]));
    return c.node('BatchNormalization', [c.input([c.dim(), 3, ...c.dims(2)]), ...parameters]);
  },
  MatMul: (c) => {
    const [m, k, n] = c.dims(3);
    const batch = c.dims(c.below(3));
    const left = [c.of([...batch, m!, k!], [...broadcastable(c, batch), m!, k!], [k!]), [...batch, k!, n!]];
    const right = [[...batch, m!, k!], c.of([k!, n!], [k!], [...broadcastable(c, batch), k!, n!])];
    return c.node(
      'MatMul',
      c.of(left, right).map((shape) => c.input(shape)),
    );
  },
  Gemm: (c) => {
    const [m, k, n] = c.dims(3);
    const [transA, transB] = [c.below(2), c.below(2)];
    const inputs = [c.input(transA ? [k!, m!] : [m!, k!]), c.input(transB ? [n!, k!] : [k!, n!])];
    const bias = c.below(2) ? c.input(c.of([n!], [1, n!], [m!, 1], [1])) : undefined;
    return c.node('Gemm', [...inputs, bias], { transA: int(transA), transB: int(transB) });
  },
  Einsum: (c) => {
    const [b, i, j, k] = c.dims(4);
    const [equation, ...shapes] = c.of<readonly [string, ...Shape[]]>(
      ['bij,bjk->bik', [b!, i!, j!], [b!, j!, k!]],
      ['bij->jb', [b!, i!, j!]],
      ['...ij,...jk->...ik', [b!, i!, j!], [b!, j!, k!]],
      ['ij,jk', [i!, j!], [j!, k!]],
      ['bi,i->b', [b!, i!], [i!]],
      ['i,j->ij', [i!], [j!]],
    );
    return [
      op.einsum(
        c.b,
        equation,
        shapes.map((shape) => c.input(shape)),
      ),
    ];
  },
  Conv: (c) => {
    const group = c.of(1, 2);
    const kernel = [1 + c.below(3), 1 + c.below(3)];
    const inputs = [c.input([c.dim(), 4, c.long(), c.long()]), c.input([6, 4 / group, ...kernel])];
    return c.node('Conv', [...inputs, c.below(2) ? c.input([6]) : undefined], {
      group: int(group),
      ...windowAttributes(c, kernel),
    });
  },
  ConvTranspose: (c) => {
    const group = c.of(1, 2);
    const kernel = [1 + c.below(3), 1 + c.below(3)];
    const strides = kernel.map(() => 2 + c.below(2));
    const mode = c.of('NOTSET', 'VALID', 'SAME_UPPER');
    return c.node('ConvTranspose', [c.input([c.dim(), 4, c.long(), c.long()]), c.input([4, 3, ...kernel])], {
      group: int(group),
      strides: ints(strides),
      auto_pad: text(mode),
      ...(mode === 'NOTSET' && { output_padding: ints([c.below(2), c.below(2)]) }),
      ...(mode === 'NOTSET' && { pads: ints([...kernel, ...kernel].map((size) => c.below(size))) }),
    });
  },
  MaxPool: pool('MaxPool'),
  AveragePool: pool('AveragePool'),
  LpPool: pool('LpPool'),
  GlobalAveragePool: globalPool('GlobalAveragePool'),
  GlobalMaxPool: globalPool('GlobalMaxPool'),
  GlobalLpPool: globalPool('GlobalLpPool'),
  Transpose: (c) => {
    const rank = c.below(5);
    return [op.transpose(c.b, c.input(c.dims(rank)), c.below(3) === 0 ? undefined : permutation(c, rank))];
  },
  Reshape: (c) => {
    const [x, y, z] = c.dims(3);
    const value = c.input([x!, y!, z!]);
    const vector = c.of([0, -1], [-1], [0, 0, -1], [-1, 1, 0], [1, -1, 1], [0, 0, 0, -1]);
    return c.node('Reshape', [value, c.b.int64(vector)]);
  },
  Flatten: (c) => c.node('Flatten', [c.input(c.dims(3))], { axis: int(c.below(7) - 3) }),
  Concat: (c) => {
    const shape = c.dims(1 + c.below(3));
    const axis = c.below(2 * shape.length) - shape.length;
    const at = axis < 0 ? axis + shape.length : axis;
    const pieces = Array.from({ length: 1 + c.below(3) }, () => shape.map((dim, k) => (k === at ? c.dim() : dim)));
    return [c.node('Concat', [c.input(shape), ...pieces.map((piece) => c.input(piece))], { axis: int(axis) })[0]!];
  },
  Split: (c) => {
    const sizes = c.of([1, 2], [2, 2, 1], [4]);
    const total = sizes.reduce((a, b) => a + b);
    const x = c.input([c.dim(), total, c.dim()]);
    if (c.below(2)) return op.split(c.b, x, sizes, c.of(1, -2));
    return c.node('Split', [x], { axis: int(1), num_outputs: int(sizes.length) }, sizes.length);
  },
  Slice: (c) => {
    const x = c.input([c.dim(), c.long(), c.dim()]);
    const axes = c.of([0], [1], [-1, 0], [0, 1, 2]);
    const far = (): number => c.of(0, 1, -1, 2, -3, op.TO_THE_END, -op.TO_THE_END, 30, -30);
    const [starts, ends] = [axes.map(far), axes.map(far)];
    const steps = c.below(2) ? axes.map(() => c.of(1, 2, -1, -2, 3)) : undefined;
    return [op.slice(c.b, x, { starts, ends, axes, ...(steps && { steps }) })];
  },
  Expand: (c) => {
    const shape = c.dims(3);
    const part = c.input(broadcastable(c, shape));
    c.input(shape); // A value that has every symbol.
    return [op.expand(c.b, part, c.below(2) ? shape : shape.map((dim) => (c.below(3) ? dim : 1)))];
  },
  Tile: (c) => [op.tile(c.b, c.input(c.dims(3)), [1 + c.below(3), 1, 1 + c.below(2)])],
  Squeeze: (c) => [op.squeeze(c.b, c.input([1, c.dim(), 1, 3]), c.of([0], [2], [0, -2], [-4]))],
  Unsqueeze: (c) => [op.unsqueeze(c.b, c.input(c.dims(2)), c.of([0], [-1], [1, 3], [0, -2], [2]))],
  Pad: (c) => {
    const pads = Array.from({ length: 4 }, () => c.below(4) - c.below(2));
    const mode = c.of<'constant' | 'edge'>('constant', 'edge');
    return [op.pad(c.b, c.input([c.long(), c.long()]), pads, mode)];
  },
  DepthToSpace: (c) => c.node('DepthToSpace', [c.input([c.dim(), 8, c.dim(), c.dim()])], { blocksize: int(2) }),
  SpaceToDepth: (c) => c.node('SpaceToDepth', [c.input([c.dim(), 3, 4, 6])], { blocksize: int(2) }),
  Gather: (c) => {
    const rank = 1 + c.below(3);
    const axis = c.below(2 * rank) - rank;
    return [op.gather(c.b, c.input(c.dims(rank)), c.input(c.dims(c.below(3)), 'int64', 1), axis)];
  },
  GatherElements: (c) => {
    const shape = c.dims(2);
    return [op.gatherElements(c.b, c.input(shape), c.input(shape, 'int64', 1), c.of(0, 1, -1))];
  },
  GatherND: (c) => {
    const [n, m] = c.dims(2);
    const batchDims = c.below(2);
    const indices = c.input([n!, m!, 1 + c.below(2)], 'int64', 1);
    return [op.gatherNd(c.b, c.input([n!, 3, 2, 2]), indices, batchDims)];
  },
  ScatterND: (c) => {
    const rest = c.dims(1);
    const updates = c.dim();
    const indices = c.input([updates, 1], 'int64', 1);
    return [op.scatterNd(c.b, c.input([c.dim(), ...rest]), indices, c.input([updates, ...rest]), 'add')];
  },
  ScatterElements: (c) => {
    const shape = c.dims(2);
    return [op.scatterElements(c.b, c.input(shape), c.input(shape, 'int64', 1), c.input(shape), { axis: 1 })];
  },
  OneHot: (c) => {
    const values = c.b.constant(float32([0, 1]));
    return c.node('OneHot', [c.input(c.dims(2), 'int64', 4), c.b.scalar(4, 'int64'), values], {
      axis: int(c.of(-1, 0, 1)),
    });
  },
  TopK: (c) => c.node('TopK', [c.input([c.dim(), c.long()]), c.b.int64([1 + c.below(4)])], {}, 2),
  Compress: (c) => c.node('Compress', [c.input([4, c.dim()]), c.input([4], 'bool')], c.of({}, { axis: int(0) })),
  NonZero: (c) => [op.nonZero(c.b, c.input(c.dims(2)))],
  Resize: (c) => {
    const x = c.input([c.dim(), c.dim(), c.long(), c.long()]);
    const mode = { mode: text(c.of('nearest', 'linear')) };
    const empty = undefined;
    if (c.below(3) === 0) return c.node('Resize', [x, empty, c.b.constant(float32([1, 1, 1.7, 0.7]))], mode);
    if (c.below(2) === 0)
      return c.node('Resize', [x, empty, c.b.constant(float32([2, 3]))], { ...mode, axes: ints([2, -1]) });
    return [op.resize(c.b, x, [x.shape[0]!, x.shape[1]!, 7, 5])];
  },
  GridSample: (c) => {
    const [batch, places] = [c.dim(), c.dims(2 + c.below(2))];
    const images = c.input([batch, c.dim(), ...places.map(() => c.dim())]);
    return [op.gridSample(c.b, images, c.input([batch, ...places, places.length]))];
  },
  AffineGrid: (c) =>
    c.below(2)
      ? c.node('AffineGrid', [c.input([2, 2, 3]), c.b.int64([2, 3, 4, 5])])
      : c.node('AffineGrid', [c.input([2, 3, 4]), c.b.int64([2, 3, 4, 5, 6])]),
  QuantizeLinear: (c) => {
    const x = c.input([c.dim(), 3, c.dim()]);
    const zero = (dtype: DType, shape: readonly number[]): Value =>
      op.cast(c.b, op.constantOfShape(c.b, c.b.int64(shape), int64([3])), dtype);
    const each = c.b.constant(float32([0.1, 0.2, 0.3]));
    return c.of(
      () => c.node('QuantizeLinear', [x, c.b.scalar(0.1)]),
      () => c.node('QuantizeLinear', [x, c.b.scalar(0.1), zero(c.of('int8', 'uint8'), [])]),
      () => c.node('QuantizeLinear', [x, each, zero('int8', [3])]),
      () => c.node('QuantizeLinear', [x, c.b.scalar(0.1)], { output_dtype: int(DTYPES.int8.onnx) }),
    )();
  },
  DequantizeLinear: (c) => {
    const x = op.cast(c.b, c.input([c.dim(), c.dim(), 3]), c.of('int8', 'uint8', 'int32'));
    const each = c.b.constant(float32([0.1, 0.2, 0.3]));
    return c.node('DequantizeLinear', c.of([x, c.b.scalar(0.1)], [x, each]), { axis: int(-1) });
  },
  DynamicQuantizeLinear: (c) => c.node('DynamicQuantizeLinear', [c.input(c.dims(3))], {}, 3),
  MatMulInteger: (c) => {
    const [m, k, n] = c.dims(3);
    const whole = (shape: Shape): Value => op.cast(c.b, c.input(shape), 'uint8');
    return c.node('MatMulInteger', [whole([2, m!, k!]), whole([k!, n!])]);
  },
  ConvInteger: (c) => {
    const [x, w] = [c.input([c.dim(), 2, c.long(), c.long()]), c.input([3, 2, 3, 3])];
    return c.node('ConvInteger', [op.cast(c.b, x, 'uint8'), op.cast(c.b, w, 'uint8')], { strides: ints([2, 1]) });
  },
  QLinearMatMul: (c) => {
    const [m, k, n] = c.dims(3);
    const quantised = (shape: Shape): Value[] => [op.cast(c.b, c.input(shape), 'uint8'), ...quantiser(c)];
    return c.node('QLinearMatMul', [...quantised([m!, k!]), ...quantised([k!, n!]), ...quantiser(c)]);
  },
  QLinearConv: (c) => {
    const quantised = (shape: Shape): Value[] => [op.cast(c.b, c.input(shape), 'uint8'), ...quantiser(c)];
    const inputs = [...quantised([c.dim(), 2, c.long(), c.long()]), ...quantised([3, 2, 3, 3]), ...quantiser(c)];
    return c.node('QLinearConv', inputs, { pads: ints([1, 1, 0, 0]) });
  },
  ...Object.fromEntries(
    Object.entries({ RNN: 1, GRU: 3, LSTM: 4 }).map(([name, gates]): [string, Case] => [
      name,
      (c) => {
        const direction = c.of('forward', 'reverse', 'bidirectional');
        const directions = direction === 'bidirectional' ? 2 : 1;
        const [steps, batch] = c.dims(2);
        const weights = [[3], [2]].map((columns) => c.input([directions, gates * 2, ...columns]));
        const bias = c.below(2) ? c.input([directions, gates * 4]) : undefined;
        const state = c.below(2) ? c.input([directions, batch!, 2]) : undefined;
        const attributes = { direction: text(direction), hidden_size: int(2) };
        const outputs = 1 + c.below(name === 'LSTM' ? 3 : 2);
        return c.node(name, [c.input([steps!, batch!, 3]), ...weights, bias, undefined, state], attributes, outputs);
      },
    ]),
  ),
  Shape: (c) => {
    const x = c.input(c.dims(4));
    return c.node('Shape', [x], { start: int(c.below(11) - 5), end: int(c.below(11) - 5) });
  },
  Size: (c) => c.node('Size', [c.input(c.dims(3))]),
  ConstantOfShape: (c) => [op.constantOfShape(c.b, c.node('Shape', [c.input(c.dims(2))])[0]!, int64([3]))],
  Constant: (c) => c.node('Constant', [], c.of<Attributes>({ value_float: float(1) }, { value_ints: ints([1, 2]) })),
  Range: (c) => {
    const [start, limit] = [c.below(9) - 4, c.below(9) - 4];
    const delta = c.of(1, 2, -1, -3);
    return [op.range(c.b, ...([start, limit, delta].map((v) => c.b.scalar(v, 'int64')) as [Value, Value, Value]))];
  },
  EyeLike: (c) =>
    c.node('EyeLike', [c.input(c.dims(2))], c.of<Attributes>({}, { dtype: int(DTYPES.int64.onnx), k: int(1) })),
};

/** Operator -> its case. */
export const OPERATOR_CASES: ReadonlyMap<string, Case> = new Map(Object.entries({ ...CASES, ...MORE_CASES }));

/** Elements for an input, by type. */
export function elementsFor(dtype: DType, shape: readonly number[], below: number): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const at = Array.from({ length: count }, (_, index) => index);
  if (dtype === 'int64')
    return int64(
      at.map((index) => (7 * index + 1) % below),
      shape,
    );
  if (dtype === 'bool') return { dtype, shape, data: Uint8Array.from(at, (index) => ((index * 7 + 1) % 3) % 2) };
  return float32(
    at.map((index) => 0.5 + 0.4 * Math.sin(1 + 7 * index)),
    shape,
  );
}
