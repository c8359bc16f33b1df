/**
 * @file Files that were once not refused, or not in one line, or not soon: found by `npm run fuzz:onnx`.
 */
import { describe, expect, test } from 'vitest';

import { missingRules } from '../../../models/autodiff/missing-rules.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Attributes } from '../../../models/onnx/graph.ts';
import { int, ints, text } from '../../../models/onnx/graph.ts';
import { AttributeProto_AttributeType as AttributeType } from '../../../models/onnx/onnx_pb.ts';
import { readModel } from '../../../models/onnx/protobuf.ts';
import type { Shape } from '../../../models/onnx/shapes.ts';
import { dimProduct, isUnknown } from '../../../models/onnx/shapes.ts';
import { FLOAT, INT64, foreignModel, tensorType } from '../../support/foreign-model.ts';
import type { GraphInit } from '../../support/foreign-model.ts';

interface Operand {
  readonly shape: Shape;
  readonly dtype?: 'float32' | 'int64';
}

function infer(op: string, operands: readonly Operand[], attributes: Attributes = {}): unknown {
  const b = new GraphBuilder('hostile');
  const inputs = operands.map(({ shape, dtype = 'float32' }, at) => b.input(`i${at}`, dtype, shape));
  return b.node(op, inputs, attributes)[0]!.shape;
}

const whole = (...shape: readonly number[]): Operand => ({ shape, dtype: 'int64' });
const real = (...shape: readonly number[]): Operand => ({ shape });

describe('inputs that do not fit are refused where they are inferred, not by the rules behind', () => {
  test.each<[string, readonly Operand[], Attributes, RegExp]>([
    ['ScatterND', [real(4, 5), whole(3, 1), real(3, 3)], {}, /axis 1 of the updates: 3 against 5/],
    ['ScatterElements', [real(2, 4), whole(4, 4), real(4, 4)], { axis: int(1) }, /indices have shape \[4, 4\]/],
    ['ScatterElements', [real(2, 4), whole(2, 3), real(2, 4)], { axis: int(1) }, /axis 1 of the updates: 4 against 3/],
    ['GatherElements', [real(2, 4), whole(2)], {}, /which does not fit data of \[2, 4\]/],
    ['GatherND', [real(2, 4), whole(5, 3)], {}, /name 3 axes of data of \[2, 4\]/],
    ['OneHot', [whole(3), whole(), real(50)], {}, /values have shape \[50\], expected \[2\]/],
    ['Range', [real(3, 2), real(), real()], {}, /found a tensor of shape \[3, 2\], expected a single number/],
    [
      'LayerNormalization',
      [real(3, 8), real(8), real(5)],
      {},
      /size of the bias and of the normalised axes: 5 against 8/,
    ],
    ['BatchNormalization', [real(2, 4, 3, 3), real(4, 1, 1), real(4), real(4), real(4)], {}, /expected rank 1/],
    ['BatchNormalization', [real(2, 4, 3, 3), real(4)], {}, /input 2 is missing/],
    ['InstanceNormalization', [real(2, 4, 3), real(4), whole(4)], {}, /types float32 and int64/],
    ['Concat', [{ shape: ['N', 1, 3] }, real(2, 1, 3), real(4, 1, 3)], { axis: int(1) }, /size of axis 0: 2 against 4/],
    ['Conv', [real(1, 4, 9, 9), real(6, 4, 3, 3), real(3, 4)], {}, /expected rank 1/],
    [
      'ConvTranspose',
      [real(1, 4, 9, 9), real(4, 6, 3, 3), real(4)],
      {},
      /size of the bias and number of channels: 4 against 6/,
    ],
    ['Gemm', [real(1, 4), real(4, 5), real(3, 5)], {}, /larger than the product/],
    [
      'MaxPool',
      [real(1, 1, 9, 9)],
      { kernel_shape: ints([2, 2]), strides: ints([2]) },
      /strides are \[2\], expected 2 numbers/,
    ],
    [
      'MaxPool',
      [real(1, 1, 9, 9)],
      { kernel_shape: ints([2, 2]), pads: ints([1]) },
      /pads are \[1\], expected 4 numbers/,
    ],
    ['AffineGrid', [real(7, 2, 3), whole(4)], {}, /nothing/],
    ['GridSample', [real(2, 1, 4, 4), real(1, 3, 3, 2)], {}, /batch of the images and of the grid: 2 against 1/],
    ['PRelu', [real(3, 4), real(2, 3, 4)], {}, /the slope \[2, 3, 4\] is larger than \[3, 4\]/],
    ['GridSample', [real(1, 1, 4, 4), real(1, 3, 3, 2)], { mode: text('circle') }, /mode "circle" is not supported/],
    ['MatMul', [real(2 ** 30, 1), real(1, 2 ** 30)], {}, /more than can be counted/],
    ['ConstantOfShape', [whole(1_000_000_000)], {}, /has 1000000000 sizes, at most 64 are supported/],
  ])('%s %j', (op, operands, attributes, message) => {
    if (message.source === 'nothing') expect(infer(op, operands, attributes)).toHaveLength(4);
    else expect(() => infer(op, operands, attributes)).toThrow(message);
  });
});

test('a size multiplied with itself for ever is a size of which nothing is known', () => {
  let size = dimProduct(['N', 'N']);
  for (let count = 0; count < 60; count += 1) size = dimProduct([size, size]);
  expect(isUnknown(size)).toBe(true);
});

test('names of values in messages are one line, whatever line ends they have', () => {
  const model = foreignModel({ node: [{ opType: 'No\u2028Such\nThing', input: ['x'], output: ['y'] }] });
  expect(() => readModel(model)).toThrow(/^model: node No_Such_Thing \(No_Such_Thing\): .* is not supported$/);
});

test('a function that calls itself in a branch, and functions that multiply', () => {
  const domain = 'local';
  const branch = { node: [{ opType: 'Again', domain, input: ['a'], output: ['c'] }], output: [{ name: 'c' }] };
  const attribute = ['then_branch', 'else_branch'].map((name) => ({ name, type: AttributeType.GRAPH, g: branch }));
  const yes = {
    opType: 'Constant',
    output: ['yes'],
    attribute: [{ name: 'value', type: AttributeType.TENSOR, t: { dataType: 9, int32Data: [1] } }],
  };
  const again = {
    name: 'Again',
    domain,
    input: ['a'],
    output: ['b'],
    node: [yes, { opType: 'If', input: ['yes'], output: ['b'], attribute }],
  };
  const call = { node: [{ opType: 'Again', domain, input: ['x'], output: ['y'] }] } as GraphInit;
  expect(() => readModel(foreignModel(call, { functions: [again], imports: ['', domain] }))).toThrow(
    /graphs lie within graphs/,
  );

  const level = (at: number): object => ({
    name: `F${at}`,
    domain,
    input: ['a'],
    output: ['b'],
    node: ['a', 'm'].map((input, side) => ({
      ...(at === 30 ? { opType: 'Neg' } : { opType: `F${at + 1}`, domain }),
      input: [input],
      output: [side === 0 ? 'm' : 'b'],
    })),
  });
  const functions = Array.from({ length: 31 }, (_, at) => level(at));
  const first = { node: [{ opType: 'F0', domain, input: ['x'], output: ['y'] }] } as GraphInit;
  const model = foreignModel(first, { functions: functions, imports: ['', domain] });
  expect(() => readModel(model)).toThrow(/its functions make (more than|names of more than)/);
});

test('calls of a function share the tensors that they take along', () => {
  const domain = 'local';
  const value = { name: 'value', type: AttributeType.TENSOR };
  const t = { dataType: FLOAT, dims: [1000n], rawData: new Uint8Array(4000) };
  const body = {
    name: 'Big',
    domain,
    input: ['a'],
    output: ['b', 'a'],
    attributeProto: [{ ...value, t }],
    node: [{ opType: 'Constant', output: ['b'], attribute: [{ ...value, refAttrName: 'value' }] }],
  };
  const calls = ['v', 'w'].map((name) => ({ opType: 'Big', domain, input: ['x'], output: [name, `${name}.x`] }));
  const graph = { node: [...calls, { opType: 'Add', input: ['v', 'w'], output: ['y'] }] } as GraphInit;
  const { initializers } = readModel(foreignModel(graph, { functions: [body], imports: ['', domain] }));
  expect(initializers).toHaveLength(2);
  expect(initializers[0]!.data!.data).toBe(initializers[1]!.data!.data);
});

test('nameless sizes have nothing to do with each other', () => {
  const graph = { input: [{ name: 'x', type: tensorType(FLOAT, ['?', 3, '?', 'None', 'N', 'N']) }] };
  const node = [{ opType: 'Neg', input: ['x'], output: ['y'] }];
  const [n, , h, w, a, b] = readModel(foreignModel({ ...graph, node })).inputs[0]!.shape;
  expect(new Set([n, h, w]).size).toBe(3);
  expect([a, b]).toEqual(['N', 'N']);
});

describe('the value of a whole number that goes in', () => {
  const branch = (name: string, opType: string): object => ({
    name,
    type: AttributeType.GRAPH,
    g: { node: [{ opType, input: ['x'], output: ['z'] }], output: [{ name: 'z' }] },
  });
  const model = foreignModel({
    input: [
      { name: 'x', type: tensorType(FLOAT, ['N', 2]) },
      { name: 'rate', type: tensorType(INT64, []) },
    ],
    initializer: [{ name: 'high', dataType: INT64, int64Data: [16000n] }],
    node: [
      { opType: 'Equal', input: ['rate', 'high'], output: ['isHigh'] },
      {
        name: 'choice',
        opType: 'If',
        input: ['isHigh'],
        output: ['y'],
        attribute: [branch('then_branch', 'Tanh'), branch('else_branch', 'Sin')],
      },
    ],
  });

  test.each([
    [16000, 'Tanh'],
    [8000, 'Sin'],
  ])('settles the branch that depends on it (%i: %s)', (rate, expected) => {
    const graph = readModel(model, { sizes: { rate } });
    expect(graph.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(graph.nodes.map(({ op }) => op)).toContain(expected);
  });

  test('left open, the error names the node and what to do', () => {
    expect(() => readModel(model)).toThrow(
      /node choice \(If\): its condition is known at run time only; .* such as --fix T=40/,
    );
  });
});

test('many nodes without a rule are found in one walk', () => {
  const b = new GraphBuilder('many');
  let x = b.input('x', 'float32', [1, 1, 8]);
  const kernel = { kernel_shape: ints([2 ** 21]), pads: ints([2 ** 20, 2 ** 20 - 1]) };
  for (let count = 0; count < 500; count += 1) [x] = b.node('LpPool', [x], kernel) as [typeof x];
  b.output('y', b.node('Mul', [x, b.constant(float32([2]))])[0]!);
  const missing = missingRules(b.build());
  expect(missing).toHaveLength(500);
  expect(missing[0]!.reason).toMatch(/LpPool has no gradient rule for input 0 \("x"\): a window of 2097152 elements/);
});

test('statistics of another type than the input have no rule, which is said of the node', () => {
  const b = new GraphBuilder('mixed');
  const x = b.input('x', 'float32', [2, 4, 3, 3]);
  const half = b.input('variance', 'float16', [4]);
  const one = b.input('one', 'float32', [4]);
  b.output('y', b.node('BatchNormalization', [x, one, one, one, half])[0]!);
  expect(missingRules(b.build())[0]!.reason).toMatch(/its parameters are of another type than its input/);
});
