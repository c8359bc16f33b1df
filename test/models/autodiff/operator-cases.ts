/**
 * @file The cases of `test/fixtures/operators` as graphs: one node each, or the few nodes that a case's note spells out.
 */
import { readFileSync } from 'node:fs';

import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { DType } from '../../../models/onnx/dtype.ts';
import { DTYPES } from '../../../models/onnx/dtype.ts';
import { float, int, ints, OPSET, text } from '../../../models/onnx/graph.ts';
import type { Attribute, Graph, Value } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import type { Dim } from '../../../models/onnx/shapes.ts';
import { fixturePath } from '../../support/fixtures.ts';

interface CaseTensor {
  readonly name: string;
  readonly dtype: 'float32' | 'int64' | 'int32' | 'bool';
  readonly shape: readonly number[];
}

type AttributeValue = number | string | readonly number[] | readonly string[];

export interface OperatorCase {
  readonly op: string;
  readonly case: string;
  readonly file: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly inputs: readonly CaseTensor[];
  readonly outputs: readonly CaseTensor[];
  readonly gradients: readonly string[];
  readonly float32_error: Readonly<Record<string, { readonly max_abs: number; readonly max_rel: number }>>;
}

export const OPERATOR_CASES = JSON.parse(
  readFileSync(fixturePath('operators/index.json'), 'utf8'),
) as readonly OperatorCase[];

/** Attributes that ONNX has as floats, though the index may list a whole number. */
const FLOATS = new Set(['alpha', 'beta', 'epsilon', 'cubic_coeff_a', 'gamma', 'bias', 'clip', 'lambd']);

function toAttribute(name: string, value: AttributeValue): Attribute {
  if (name === 'to') return int(DTYPES[value === 'float' ? 'float32' : (value as DType)].onnx);
  if (typeof value === 'string') return text(value);
  if (typeof value === 'number') return FLOATS.has(name) ? float(value) : int(value);
  if (value.every((element) => typeof element === 'string')) return { type: 'strings', value };
  return ints(value);
}

type Build = (b: GraphBuilder, inputs: readonly Value[], test: OperatorCase) => readonly Value[];

const number = (test: OperatorCase, name: string): number => Number(test.attributes[name]);

const timesSigmoid =
  (alpha: (test: OperatorCase) => number): Build =>
  (b, [x], test) => [op.mul(b, x!, op.sigmoid(b, op.mulScalar(b, x!, alpha(test))))];

const comparison: Build = (b, inputs, test) => [op.cast(b, b.node(test.op, inputs)[0]!, 'int64')];

/** Inputs and outputs by their names: a case lists those that are given. */
const named =
  (inputNames: readonly string[], outputNames: readonly string[]): Build =>
  (b, inputs, test) => {
    const given = new Map(inputs.map((value, at) => [test.inputs[at]!.name, value]));
    const made = b.node(
      test.op,
      inputNames.map((name) => given.get(name)),
      attributesOf(test),
      outputNames.length,
    );
    return test.outputs.map(({ name }) => made[outputNames.indexOf(name)]!);
  };

const LAYER_INPUTS = ['X', 'W', 'R', 'B', 'sequence_lens', 'initial_h', 'initial_c'];

/** Cases that are not one node with the listed inputs and attributes. */
const BUILDERS: Readonly<Record<string, Build>> = {
  RNN: named(LAYER_INPUTS, ['Y', 'Y_h']),
  GRU: named(LAYER_INPUTS, ['Y', 'Y_h']),
  LSTM: named(LAYER_INPUTS, ['Y', 'Y_h', 'Y_c']),
  QuickGelu: timesSigmoid((test) => number(test, 'alpha')),
  Silu: timesSigmoid(() => 1),
  Mod: (b, [x, y]) => [op.sub(b, x!, op.mul(b, op.floor(b, op.div(b, x!, y!)), y!))],
  Greater: comparison,
  Less: comparison,
  Equal: comparison,
  Where: (b, [condition, x, y]) => [op.where(b, op.cast(b, condition!, 'bool'), x!, y!)],
  Clip: (b, [x], { attributes }) => [op.clip(b, x!, attributes)],
  Trilu: (b, [x], test) => [op.trilu(b, x!, { upper: number(test, 'upper') === 1, k: number(test, 'k') })],
  QuantizePair: (b, [x, scale, zero], { attributes }) => {
    const parameters = [scale, op.cast(b, zero!, attributes['stored'] as DType)];
    const axis: Record<string, Attribute> =
      attributes['axis'] === undefined ? {} : { axis: int(Number(attributes['axis'])) };
    const [stored] = b.node('QuantizeLinear', [x, ...parameters], axis);
    return b.node('DequantizeLinear', [stored, ...parameters], axis);
  },
  Compress: (b, [x, condition], test) => b.node('Compress', [x, op.cast(b, condition!, 'bool')], attributesOf(test)),
  TopK: (b, inputs, test) => b.node('TopK', inputs, attributesOf(test), 2).slice(0, 1),
  Resize: (b, [x, sizes], test) => b.node('Resize', [x, undefined, undefined, sizes], attributesOf(test)),
  'Softmax lower-triangle-mask': (b, [x]) => {
    const ones = op.expandTo(b, b.scalar(1), op.shape(b, x!));
    const keeps = op.cast(b, op.trilu(b, ones, { upper: false }), 'bool');
    return [op.softmax(b, op.where(b, keeps, x!, b.scalar(-Infinity)))];
  },
};

const reduce: Build = (b, [x], test) =>
  b.node(test.op, [x, b.int64(test.attributes['axes'] as readonly number[])], {
    keepdims: int(number(test, 'keepdims')),
  });

function attributesOf(test: OperatorCase): Record<string, Attribute> {
  return Object.fromEntries(Object.entries(test.attributes).map(([name, value]) => [name, toAttribute(name, value)]));
}

/** How the shapes of a case's inputs are declared. */
export type Declared = (shape: readonly number[], input: number) => readonly Dim[];

export interface CaseOptions {
  readonly declared?: Declared;
  /** Values of integer inputs (shapes, axes, indices) that the graph holds as constants, as models do. */
  readonly constants: ReadonlyMap<string, readonly number[]>;
}

/** The forward graph of a case, outputs as `output.<name>`: a case may have an input and an output of one name. */
export function caseGraph(test: OperatorCase, { declared = (shape) => shape, constants }: CaseOptions): Graph {
  const b = new GraphBuilder(`${test.op}-${test.case}`);
  const inputs = test.inputs.map(({ name, dtype, shape }, at) => {
    const known = constants.get(name);
    if (known) return b.constant({ dtype: 'int64', shape, data: BigInt64Array.from(known, BigInt) });
    return b.input(name, dtype === 'bool' ? 'int64' : dtype, declared(shape, at));
  });
  const build =
    BUILDERS[`${test.op} ${test.case}`] ??
    BUILDERS[test.op] ??
    (test.op.startsWith('Reduce')
      ? reduce
      : (_, values) => b.node(test.op, values, attributesOf(test), test.outputs.length));
  build(b, inputs, test).forEach((value, at) => b.output(`output.${test.outputs[at]!.name}`, value));
  // The operator that came later than the set we write.
  return { ...b.build(), opset: test.op === 'RMSNormalization' ? 23 : OPSET };
}

/** Inputs that say how, not what: they are constants in every model, and operators need them to infer shapes. */
export const SETTINGS = new Set([
  'shape',
  'axes',
  'starts',
  'ends',
  'steps',
  'pads',
  'sizes',
  'repeats',
  'split',
  'axis',
  'k',
  'depth',
]);
