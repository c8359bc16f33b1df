import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isRefereeError } from '../../../errors.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { checkGraph } from '../../../models/onnx/check.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import { AttributeProto_AttributeType as AttributeType, TensorProtoSchema } from '../../../models/onnx/onnx_pb.ts';
import * as op from '../../../models/onnx/ops.ts';
import type { Dim } from '../../../models/onnx/shapes.ts';
import { printGraph } from '../../../models/onnx/print.ts';
import { readModel, writeModel } from '../../../models/onnx/protobuf.ts';
import { expectClose } from '../../support/close.ts';
import type { GraphInit } from '../../support/foreign-model.ts';
import { FLOAT, INT64, foreignModel, intAttribute, intsAttribute, tensorType } from '../../support/foreign-model.ts';
import { feedsFor, randomGraph } from '../../support/random-graph.ts';
import { runGraph, runModel } from '../../support/run-graph.ts';

const X = float32([1, 2, 3, 4, 5, 6], [3, 2]);
const EXACT = { rtol: 0, atol: 0 };

function message(bytes: Uint8Array, folder?: string): string {
  try {
    readModel(bytes, { name: 'm.onnx', ...(folder !== undefined && { folder }) });
  } catch (error) {
    if (isRefereeError(error) && error.code === 'InvalidModel') return error.message;
    throw error;
  }
  throw new Error('the model was read');
}

describe('what we wrote', () => {
  test('comes back: the same text, the same bytes when written again', () => {
    fc.assert(
      fc.property(randomGraph(), (graph) => {
        const bytes = writeModel(graph);
        const back = checkGraph(readModel(bytes));
        expect(printGraph(back)).toBe(printGraph(graph));
        expect(writeModel(back)).toEqual(bytes);
      }),
      { numRuns: 60 },
    );
  });

  test('every kind of attribute, element type and weight comes back', () => {
    const b = new GraphBuilder('g');
    const x = b.input('x', 'float32', ['B', 3]);
    const data = {
      float16: Uint16Array.of(0x3c00),
      bool: Uint8Array.of(1),
      uint64: BigUint64Array.of(2n ** 64n - 1n),
      int8: Int8Array.of(-7),
      float64: Float64Array.of(Math.PI),
    } as const;
    for (const [dtype, one] of Object.entries(data)) {
      const tensor = { dtype: dtype as keyof typeof data, shape: [1], data: one };
      b.output(dtype, b.constant(tensor, `c-${dtype}`));
    }
    b.output('y', op.constantOfShape(b, op.shape(b, x), float32([2.5])));
    b.output('z', b.weight('w', 'bfloat16', [2, 2], { file: '/a/b.safetensors', offset: 17, length: 8 }));
    const back = readModel(writeModel(b.build()), { folder: '/' });
    expect(back.initializers).toEqual(b.build().initializers);
    expect(back.nodes).toEqual(b.build().nodes);
  });

  test('weights are written relative to the root that the session will have, and never outside it', () => {
    const b = new GraphBuilder('g');
    b.output('y', b.weight('w', 'float32', [1], { file: '/models/sd/w.safetensors', offset: 8, length: 4 }));
    const bytes = writeModel(b.build(), { weightsRoot: '/models/' });
    expect(readModel(bytes, { folder: '/elsewhere' }).initializers[0]?.external?.file).toBe(
      '/elsewhere/sd/w.safetensors',
    );
    expect(() => writeModel(b.build(), { weightsRoot: '/models/sdxl' })).toThrow(
      'weights "/models/sd/w.safetensors" lie outside the folder "/models/sdxl"',
    );
  });

  test('numbers are the same after reading', async () => {
    await fc.assert(
      fc.asyncProperty(randomGraph(), async (graph) => {
        const feeds = feedsFor(graph, 2);
        const before = await runGraph(graph, feeds);
        const after = await runGraph(readModel(writeModel(graph)), feeds);
        for (const [name, tensor] of Object.entries(before)) expectClose(after[name], tensor, EXACT, name);
      }),
      { numRuns: 20 },
    );
  });
});

describe('what others wrote', () => {
  const float = (name: string, values: readonly number[], dims: readonly number[]) => ({
    name,
    dataType: FLOAT,
    dims: dims.map((v) => BigInt(v)),
    floatData: [...values],
  });

  test('typed data fields, Constant nodes, nodes in any order, initializers listed as inputs, nodes without names', async () => {
    const graph: GraphInit = {
      input: [
        { name: 'x', type: tensorType(FLOAT, ['N', 2]) },
        { name: 'w', type: tensorType(FLOAT, [2, 2]) },
      ],
      initializer: [float('w', [1, 2, 3, 4], [2, 2])],
      node: [
        { opType: 'Add', input: ['product', 'half'], output: ['y'] },
        { opType: 'MatMul', input: ['x', 'w'], output: ['product'] },
        {
          opType: 'Constant',
          output: ['half'],
          attribute: [{ name: 'value_float', type: AttributeType.FLOAT, f: 0.5 }],
        },
      ],
      output: [{ name: 'y', type: tensorType(FLOAT, [null, 2]) }],
    };
    const read = checkGraph(readModel(foreignModel(graph)));
    expect(read.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(read.nodes.map((node) => `${node.name} -> ${node.outputs[0]!.name}`)).toEqual([
      'MatMul -> product',
      'Add -> y',
    ]);
    expect(read.outputs[0]?.shape).toEqual(['N', 2]);
    const { y } = await runGraph(read, { x: X });
    expectClose(y, float32([7.5, 10.5, 15.5, 22.5, 23.5, 34.5], [3, 2]), EXACT);
  });

  test("weights of a file in Node's own buffer are read wherever they lie in it", () => {
    const rawData = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
    const graph = (name: string): GraphInit => ({
      initializer: [{ name, dataType: FLOAT, dims: [3n], rawData }],
      node: [{ opType: 'Identity', input: [name], output: ['y'] }],
    });
    // Names of four lengths put the bytes at every place of a word.
    for (const name of ['w', 'ww', 'www', 'wwww']) {
      const read = readModel(Buffer.from(foreignModel(graph(name))));
      expect(read.initializers[0]?.data?.data).toEqual(Float32Array.of(1, 2, 3));
    }
  });

  test('older spellings of operators become ours: same numbers as the file as it is', async () => {
    const graph: GraphInit = {
      node: [
        {
          opType: 'ReduceMax',
          input: ['x'],
          output: ['m'],
          attribute: [intsAttribute('axes', [1]), intAttribute('keepdims', 1)],
        },
        { opType: 'Sub', input: ['x', 'm'], output: ['d'] },
        { opType: 'Split', input: ['d'], output: ['a', 'b'], attribute: [intAttribute('axis', 1)] },
        { opType: 'Mul', input: ['a', 'b'], output: ['y'] },
      ],
      output: [
        { name: 'y', type: tensorType(FLOAT, ['N', 1]) },
        { name: 'a', type: tensorType(FLOAT, ['N', 1]) },
      ],
    };
    const bytes = foreignModel(graph, { opset: 13 });
    const [theirs, ours] = [await runModel(bytes, { x: X }), await runGraph(readModel(bytes), { x: X })];
    expectClose(ours['y'], theirs['y']!, EXACT);
    expectClose(ours['a'], float32([-1, -1, -1], [3, 1]), EXACT);
  });

  test('external data inside the folder of the model', () => {
    const tensor = (location: string, more: Record<string, string> = {}): GraphInit => ({
      initializer: [
        {
          name: 'w',
          dataType: FLOAT,
          dims: [2n, 2n],
          dataLocation: 1,
          externalData: Object.entries({ location, ...more }).map(([key, value]) => ({ key, value })),
        },
      ],
      node: [{ opType: 'MatMul', input: ['x', 'w'], output: ['y'] }],
    });
    const read = readModel(foreignModel(tensor('./data/w.bin', { offset: '4096' })), { folder: '/models/m' });
    expect(read.initializers[0]?.external).toEqual({ file: '/models/m/data/w.bin', offset: 4096, length: 16 });
    for (const location of ['../w.bin', '/etc/passwd', 'a/../../w.bin', 'C:\\w.bin', '..\\w.bin', '', 'a\0b']) {
      expect(message(foreignModel(tensor(location)), '/models/m')).toContain(
        "expected a file inside the model's folder",
      );
    }
    expect(message(foreignModel(tensor('w.bin')))).toContain("the model's folder is not known");
    expect(message(foreignModel(tensor('w.bin', { length: '15' })), '/m')).toContain('15 bytes, its shape needs 16');
    expect(message(foreignModel(tensor('w.bin', { offset: '-1' })), '/m')).toContain('has the offset "-1"');
  });

  test('dimensions: products of symbols are followed, odd names are symbols that nothing is known of', () => {
    const graph = (dims: readonly (string | number | null)[]): Graph =>
      readModel(
        foreignModel({
          input: [{ name: 'x', type: tensorType(FLOAT, dims) }],
          node: [{ opType: 'Relu', input: ['x'], output: ['y'] }],
        }),
      );
    expect(graph(['batch', 'N', 3]).inputs[0]?.shape).toEqual(['batch', 'N', 3]);
    expect(graph(['2*height', 'T*B']).inputs[0]?.shape).toEqual(['2*height', 'B*T']);
    const [a, b, c] = graph(['0*N', '0*N', null]).inputs[0]!.shape;
    expect(a).toBe(b);
    expect(c).not.toBe(a);
  });
});

test('open sizes are fixed by symbol, by factor of a product, or by input and axis', () => {
  const bytes = foreignModel({
    input: [{ name: 'x', type: tensorType(FLOAT, ['2*W', 'batch size*0', null, 'H', 3]) }],
    node: [{ opType: 'Relu', input: ['x'], output: ['y'] }],
    output: [{ name: 'y', type: tensorType(FLOAT, ['2*W', null, null, 'H', 3]) }],
  });
  const read = (sizes: Record<string, number>): readonly Dim[] => readModel(bytes, { sizes }).outputs[0]!.shape;
  expect(read({ W: 5, 'x.2': 7, H: 4 })).toEqual([10, expect.stringContaining('?'), 7, 4, 3]);
  expect(read({ '2*W': 6, 'x.1': 2 })).toEqual([6, 2, expect.stringContaining('?'), 'H', 3]);
  expect(() => read({ 'x.4': 3 })).toThrow('model: no open dimension is called "x.4", there are 2*W, W');
  expect(() => read({ W: 0.5 })).toThrow('model: size of "W": found 0.5, expected a whole number');
});

describe('what is wrong is one line that names the place', () => {
  const relu = { name: 'r', opType: 'Relu', input: ['x'], output: ['y'] };
  const cases: [string, GraphInit, string][] = [
    [
      'an input that nothing makes',
      { node: [{ ...relu, input: ['q'] }] },
      'node "r" (Relu): nothing makes its input "q"',
    ],
    [
      'a cycle',
      {
        node: [
          { name: 'a', opType: 'Add', input: ['x', 'z'], output: ['y'] },
          { name: 'b', opType: 'Relu', input: ['y'], output: ['z'] },
        ],
      },
      'a cycle',
    ],
    ['a node that reads itself', { node: [{ ...relu, input: ['y'] }] }, 'a cycle'],
    [
      'a value that is made twice',
      { node: [relu, { ...relu, name: 's' }] },
      'node "s" (Relu): the value "y" is made twice',
    ],
    [
      'an input that is declared twice',
      {
        input: [
          { name: 'x', type: tensorType(FLOAT, [1]) },
          { name: 'x', type: tensorType(FLOAT, [1]) },
        ],
        node: [relu],
      },
      'two values have the name "x"',
    ],
    [
      'a negative dimension',
      { input: [{ name: 'x', type: tensorType(FLOAT, [-3]) }], node: [relu] },
      'input "x": found the dimension -3',
    ],
    [
      'a negative dimension of a weight',
      { initializer: [{ name: 'w', dataType: FLOAT, dims: [-1n] }], node: [relu] },
      'initializer "w": found the dimension -1',
    ],
    [
      'an unknown operator',
      { node: [{ ...relu, opType: 'Frobnicate' }] },
      'node r (Frobnicate): operator Frobnicate is not supported',
    ],
    [
      'an operator of somebody',
      { node: [{ ...relu, domain: 'com.acme' }] },
      'node r (Relu): operators of "com.acme" are not supported',
    ],
    [
      'a subgraph',
      {
        node: [
          {
            name: 'c',
            opType: 'If',
            input: ['x'],
            output: ['y'],
            attribute: [{ name: 'then_branch', type: AttributeType.GRAPH, g: {} }],
          },
        ],
      },
      'node c (If): its condition is known at run time only; control flow of run time cannot be differentiated',
    ],
    ...['Loop', 'Scan'].map((opType): [string, GraphInit, string] => [
      `a ${opType}`,
      { node: [{ name: 'again', opType, input: ['x'], output: ['y'] }] },
      `node again (${opType}): it repeats a graph; control flow of run time cannot be differentiated`,
    ]),
    [
      'a sequence',
      { input: [{ name: 'x', type: { value: { case: 'sequenceType', value: {} } } }], node: [relu] },
      'input "x": type sequenceType, only tensors are supported',
    ],
    [
      'an element type',
      { input: [{ name: 'x', type: tensorType(8, [1]) }], node: [relu] },
      'input "x": element type 8 is not supported',
    ],
    [
      'an input without axes',
      { input: [{ name: 'x', type: { value: { case: 'tensorType', value: { elemType: FLOAT } } } }], node: [relu] },
      'its shape must be given',
    ],
    [
      'too little data',
      { initializer: [{ name: 'w', dataType: FLOAT, dims: [4n], rawData: new Uint8Array(12) }], node: [relu] },
      'initializer "w": holds 12 bytes, its shape needs 16',
    ],
    [
      'too many elements',
      { initializer: [{ name: 'w', dataType: INT64, dims: [1n], int64Data: [1n, 2n] }], node: [relu] },
      'initializer "w": holds 2 elements, its shape needs 1',
    ],
    ['an output that nothing makes', { node: [{ ...relu, output: ['z'] }] }, 'output "y": no node makes it'],
    [
      'an output declared otherwise',
      { node: [relu], output: [{ name: 'y', type: tensorType(FLOAT, ['N', 3]) }] },
      'output "y": declared as float32[N, 3], the nodes make float32[N, 2]',
    ],
    [
      'shapes that do not fit',
      {
        node: [{ name: 'm', opType: 'MatMul', input: ['x', 'x'], output: ['y'] }],
        input: [{ name: 'x', type: tensorType(FLOAT, [2, 3]) }],
      },
      'node m (MatMul)',
    ],
    ['a missing input', { node: [{ ...relu, opType: 'Conv' }] }, 'node r (Conv): input 1 is missing'],
    ['no outputs', { node: [relu], output: [] }, 'the graph has no outputs'],
    [
      'an attribute twice',
      { node: [{ ...relu, attribute: [intAttribute('a', 1), intAttribute('a', 1)] }] },
      'attribute "a" is given twice',
    ],
    [
      'a reference to a function',
      { node: [{ ...relu, attribute: [{ name: 'a', refAttrName: 'b', type: AttributeType.INT }] }] },
      'reference to an attribute of a function',
    ],
    [
      'old group normalization',
      { node: [{ name: 'g', opType: 'GroupNormalization', input: ['x', 'x', 'x'], output: ['y'] }] },
      'node g (GroupNormalization): scale and bias per group',
    ],
    [
      'a sparse initializer',
      { node: [relu], sparseInitializer: [{ values: create(TensorProtoSchema, {}) }] },
      'sparse initializers',
    ],
  ];

  test.each(cases)('%s', (_, graph, expected) => {
    const found = message(foreignModel(graph));
    expect(found).toContain(expected);
    expect(found).toMatch(/^m\.onnx: [^\n]*$/);
  });

  test('operator sets that are too old, too new, or missing', () => {
    for (const opset of [27, 99])
      expect(message(foreignModel({ node: [relu] }, { opset }))).toContain(`operator set ${opset}, expected`);
    expect(message(foreignModel({ node: [relu] }, { imports: ['com.acme'] }))).toContain('operator set 0, expected');
  });

  test('bytes that are no model', () => {
    const texts = ['', '\0', 'PK\x03\x04 zip', '{"json": true}', '<html></html>', 'a'.repeat(5000)];
    for (const text of texts) expect(message(new TextEncoder().encode(text))).toContain('not an ONNX file');
  });

  test('a file cut off anywhere is refused or sound, never anything else', () => {
    const b = new GraphBuilder('g');
    const x = b.input('x', 'float32', ['B', 3]);
    b.output('y', op.matMul(b, op.relu(b, x), b.constant(float32([1, 2, 3], [3, 1]))));
    const bytes = writeModel(b.build());
    for (let length = 0; length < bytes.length; length += 1) {
      expect(message(bytes.subarray(0, length))).toMatch(/^m\.onnx: [^\n]*$/);
    }
  });

  test('a file with changed bytes is refused in one line, or read as a sound graph', () => {
    const b = new GraphBuilder('g');
    const x = b.input('x', 'float32', ['B', 3]);
    const s = op.slice(b, x, { starts: [0], ends: [2], axes: [1] });
    b.output('y', op.reshape(b, op.concat(b, [s, s], 1), ['B', 2, 2]));
    const bytes = writeModel(b.build());
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length - 1), fc.nat(255), (i, u, j, v) => {
        const changed = bytes.slice();
        changed[i] = u;
        changed[j] = v;
        try {
          checkGraph(readModel(changed));
        } catch (error) {
          if (!isRefereeError(error)) throw error;
          expect(error.message).not.toContain('\n');
        }
      }),
      { numRuns: 2000 },
    );
  });
});
