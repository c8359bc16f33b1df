/**
 * @file Small valid models that hostile files are made of: our operators one by one, networks in small, and what only
 * exporters write (functions, branches, old operator sets, weights in every type and spelling, weights elsewhere).
 */
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { DTYPES } from '../../../models/onnx/dtype.ts';
import type { DType } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import { float, int } from '../../../models/onnx/graph.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { AttributeProto_AttributeType as AttributeType } from '../../../models/onnx/onnx_pb.ts';
import { TensorProto_DataLocation as DataLocation } from '../../../models/onnx/onnx_pb.ts';
import { writeModel } from '../../../models/onnx/protobuf.ts';
import { SETTINGS, OPERATOR_CASES, caseGraph } from '../../models/autodiff/operator-cases.ts';
import { COMPOSITE_CASES, compositeModel } from '../../models/onnx/composite-cases.ts';
import { readFixture, tensorsBelow } from '../../support/fixtures.ts';
import { FLOAT, INT64, foreignModel, intAttribute, intsAttribute, tensorType } from '../../support/foreign-model.ts';
import type { GraphInit } from '../../support/foreign-model.ts';
import { toNumbers } from '../../support/numbers.ts';

type NamedModel = readonly [name: string, bytes: Uint8Array];

/** Every operator that has a rule, as the cases of the operators' tests write it; of each operator the first. */
function operatorModels(): NamedModel[] {
  const firsts = new Map(OPERATOR_CASES.toReversed().map((test) => [test.op, test]));
  return [...firsts].map(([name, test]): NamedModel => {
    const inputs = tensorsBelow(readFixture(`operators/${test.file}`), 'input.');
    const settings = Object.entries(inputs).filter(([input]) => SETTINGS.has(input));
    const constants = new Map(settings.map(([input, tensor]) => [input, toNumbers(tensor)]));
    return [name, writeModel(caseGraph(test, { constants }))];
  });
}

/** Operators that are taken apart while they are read. */
function compositeModels(): NamedModel[] {
  return COMPOSITE_CASES.filter(({ inputs }) => inputs[0]?.dtype === 'float32').map((test) => [
    `${test.op}, ${test.name}`,
    compositeModel(test),
  ]);
}

const waves = (...shape: readonly number[]): ReturnType<typeof float32> =>
  float32(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => Math.sin(at)),
    shape,
  );

function picture(): Graph {
  const b = new GraphBuilder('picture');
  const x = b.input('x', 'float32', ['N', 3, 'H', 'W']);
  const first = op.relu(b, op.conv(b, x, b.constant(waves(4, 3, 3, 3), 'w'), undefined, { pads: [1, 1, 1, 1] }));
  const vectors = ['scale', 'bias', 'mean', 'variance'].map((name) => b.constant(waves(4), name));
  const [normal] = b.node('BatchNormalization', [first, ...vectors], { epsilon: float(1e-3) });
  const pooled = op.maxPool(b, normal!, { kernelShape: [2, 2], strides: [2, 2] });
  const [mean] = b.node('GlobalAveragePool', [pooled]);
  const [flat] = b.node('Flatten', [mean], { axis: int(1) });
  b.output('y', op.softmax(b, op.gemm(b, flat!, b.constant(waves(4, 5), 'head'))));
  return b.build();
}

function text(): Graph {
  const b = new GraphBuilder('text');
  const tokens = b.input('tokens', 'int64', ['N', 'T']);
  const x = op.gather(b, b.constant(waves(7, 8), 'table'), tokens);
  const [norm] = b.node('LayerNormalization', [x, b.constant(waves(8), 'scale')], { axis: int(-1) });
  const heads = op.transpose(b, op.reshape(b, norm!, ['N', 'T', 2, 4]), [0, 2, 1, 3]);
  const scores = op.softmax(b, op.einsum(b, 'bhqd,bhkd->bhqk', [heads, heads]));
  const mixed = op.transpose(b, op.matMul(b, scores, heads), [0, 2, 1, 3]);
  const [top] = b.node('TopK', [op.reshape(b, mixed, ['N', 'T', 8]), b.int64([2])], {}, 2);
  b.output('y', top!);
  return b.build();
}

const node = (
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attribute: object[] = [],
): object => ({
  name: `the ${opType}`,
  opType,
  input,
  output,
  attribute,
});

/** A constant of every element type, typed and raw, cast and added up. */
function types(): GraphInit {
  const dtypes = Object.keys(DTYPES) as DType[];
  const initializer = dtypes.flatMap((dtype) => {
    const { onnx, bytes } = DTYPES[dtype];
    const field = { float32: 'floatData', float64: 'doubleData', int64: 'int64Data', uint64: 'uint64Data' }[
      dtype as string
    ];
    const isBig = dtype === 'int64' || dtype === 'uint64' || dtype === 'uint32';
    const typed = { [field ?? (dtype === 'uint32' ? 'uint64Data' : 'int32Data')]: isBig ? [1n, 0n] : [1, 0] };
    const raw = { rawData: new Uint8Array(2 * bytes) };
    return [typed, raw].map((data, at) => ({ name: `${dtype}.${at}`, dataType: onnx, dims: [2n], ...data }));
  });
  const casts = initializer.map(({ name }) => node('Cast', [name], [`${name}.cast`], [intAttribute('to', FLOAT)]));
  const sum = node('Sum', ['x', ...initializer.map(({ name }) => `${name}.cast`)], ['y']);
  return { initializer, node: [...casts, sum] };
}

function outside(): GraphInit {
  const external = (name: string, ...entries: readonly (readonly [string, string])[]): object => ({
    name,
    dataType: FLOAT,
    dims: [2n, 2n],
    dataLocation: DataLocation.EXTERNAL,
    externalData: entries.map(([key, value]) => ({ key, value })),
  });
  return {
    initializer: [
      external('w', ['location', 'weights.bin'], ['offset', '16'], ['length', '16']),
      external('v', ['location', './weights.bin'], ['offset', '32']),
    ],
    node: [node('MatMul', ['x', 'w'], ['h']), node('MatMul', ['h', 'v'], ['y'])],
  };
}

/** Settings as attributes, as older operator sets have them. */
function old(): GraphInit {
  const floats = (name: string, values: readonly number[]): object => ({
    name,
    type: AttributeType.FLOATS,
    floats: values,
  });
  return {
    input: [{ name: 'x', type: tensorType(FLOAT, ['N', 2, 4, null]) }],
    node: [
      node('Pad', ['x'], ['padded'], [intsAttribute('pads', [0, 0, 1, 1, 0, 0, 1, 1])]),
      node(
        'Slice',
        ['padded'],
        ['cut'],
        [intsAttribute('starts', [1]), intsAttribute('ends', [5]), intsAttribute('axes', [2])],
      ),
      node('Clip', ['cut'], ['bounded'], [{ name: 'max', type: AttributeType.FLOAT, f: 1 }]),
      node('Upsample', ['bounded'], ['larger'], [floats('scales', [1, 1, 2, 2])]),
      node('Unsqueeze', ['larger'], ['more'], [intsAttribute('axes', [0])]),
      node('Squeeze', ['more'], ['less'], [intsAttribute('axes', [0])]),
      node('Softmax', ['less'], ['soft'], [intAttribute('axis', 1)]),
      node('ReduceMean', ['soft'], ['y'], [intsAttribute('axes', [2, 3]), intAttribute('keepdims', 0)]),
    ],
  };
}

/** Branches that are known, within branches; the last condition is known only if the size is. */
function branches(): GraphInit {
  const branch = (name: string, nodes: readonly object[], output: string): object => ({
    name,
    type: AttributeType.GRAPH,
    g: { name, node: nodes, output: [{ name: output }] },
  });
  const inner = node(
    'If',
    ['yes'],
    ['b'],
    [branch('then_branch', [node('Tanh', ['x'], ['c'])], 'c'), branch('else_branch', [node('Sin', ['x'], ['c'])], 'c')],
  );
  return {
    initializer: [
      { name: 'yes', dataType: 9, int32Data: [1] },
      { name: 'two', dataType: INT64, dims: [1n], int64Data: [2n] },
    ],
    node: [
      node('Shape', ['x'], ['shape'], [intAttribute('start', 1)]),
      node('Equal', ['shape', 'two'], ['isTwo']),
      node(
        'If',
        ['isTwo'],
        ['a'],
        [branch('then_branch', [inner], 'b'), branch('else_branch', [node('Neg', ['x'], ['d'])], 'd')],
      ),
      node('Mul', ['a', 'x'], ['y']),
    ],
  };
}

function withFunctions(): Uint8Array {
  const domain = 'local';
  const alpha = { name: 'alpha', refAttrName: 'slope', type: AttributeType.FLOAT };
  const functions = [
    {
      name: 'Leaky',
      domain,
      input: ['a'],
      output: ['b'],
      attributeProto: [{ name: 'slope', type: AttributeType.FLOAT, f: 0.25 }],
      opsetImport: [{ domain: '', version: 17n }],
      node: [node('LeakyRelu', ['a'], ['b'], [alpha])],
    },
    {
      name: 'Twice',
      domain,
      input: ['a', 'unused'],
      output: ['c', 'a'],
      opsetImport: [
        { domain: '', version: 9n },
        { domain, version: 1n },
      ],
      node: [
        { ...node('Leaky', ['a'], ['b']), domain },
        { ...node('Leaky', ['b'], ['c']), domain },
      ],
    },
  ];
  const calls = [{ ...node('Twice', ['x'], ['y', 'z']), domain }, node('Sigmoid', ['z'], ['same'])];
  const output = ['y', 'same'].map((name) => ({ name }));
  return foreignModel({ node: calls, output }, { functions: functions, imports: ['', domain] });
}

/** Sizes computed of sizes, as PyTorch writes reshapes. */
function sizes(): GraphInit {
  const scalar = (name: string, value: number): object => ({
    name: `the ${name}`,
    opType: 'Constant',
    output: [name],
    attribute: [{ name: 'value', type: AttributeType.TENSOR, t: { dataType: INT64, int64Data: [BigInt(value)] } }],
  });
  return {
    node: [
      ...[scalar('zero', 0), scalar('two', 2)],
      node('Shape', ['x'], ['shape']),
      node('Gather', ['shape', 'zero'], ['n'], [intAttribute('axis', 0)]),
      node('Mul', ['n', 'two'], ['twice']),
      node('Unsqueeze', ['twice', 'axes'], ['vector']),
      node('Concat', ['vector', 'one'], ['wanted'], [intAttribute('axis', 0)]),
      node('Reshape', ['x', 'wanted'], ['long']),
      node('Expand', ['long', 'wide'], ['y']),
    ],
    initializer: [
      { name: 'axes', dataType: INT64, dims: [1n], int64Data: [0n] },
      { name: 'one', dataType: INT64, dims: [1n], int64Data: [1n] },
      { name: 'wide', dataType: INT64, dims: [2n], int64Data: [1n, 3n] },
    ],
  };
}

let models: readonly NamedModel[] | undefined;

/** All models, each of them readable and, but for those of whole numbers, differentiable. */
export function seedModels(): readonly NamedModel[] {
  models ??= makeModels();
  return models;
}

function makeModels(): readonly NamedModel[] {
  const networks: readonly NamedModel[] = [
    ['picture', writeModel(picture())],
    ['text', writeModel(text())],
    ['types', foreignModel(types())],
    ['outside', foreignModel(outside())],
    ['old', foreignModel(old(), { opset: 7 })],
    ['branches', foreignModel(branches())],
    ['functions', withFunctions()],
    ['sizes', foreignModel(sizes())],
  ];
  // Hurt more often than single operators.
  return [...operatorModels(), ...compositeModels(), ...Array.from({ length: 8 }, () => networks).flat()];
}
