import { describe, expect, test } from 'vitest';

import { byDifferences } from '../../../activities/gradients/differences.ts';
import { dot } from '../../../activities/gradients/reals.ts';
import { grad } from '../../../models/autodiff/grad.ts';
import { checkGraph } from '../../../models/onnx/check.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { elementCount, float32 } from '../../../models/onnx/dtype.ts';
import { AttributeProto_AttributeType as AttributeType } from '../../../models/onnx/onnx_pb.ts';
import { readModel } from '../../../models/onnx/protobuf.ts';
import { expectClose } from '../../support/close.ts';
import type { AttributeInit, GraphInit } from '../../support/foreign-model.ts';
import { FLOAT, INT64, foreignModel, intAttribute, intsAttribute, tensorType } from '../../support/foreign-model.ts';
import { fromOrt, openModel, runGraph, runModel, toOrt } from '../../support/run-graph.ts';

const X = float32(
  Array.from({ length: 48 }, (_, at) => Math.sin(3 * at) + 0.1 * at),
  [2, 4, 2, 3],
);

const floatAttribute = (name: string, f: number): AttributeInit => ({ name, type: AttributeType.FLOAT, f });
const floatsAttribute = (name: string, floats: number[]): AttributeInit => ({
  name,
  type: AttributeType.FLOATS,
  floats,
});
const textAttribute = (name: string, s: string): AttributeInit => ({
  name,
  type: AttributeType.STRING,
  s: new TextEncoder().encode(s),
});
const floats = (name: string, floatData: number[]) => ({
  name,
  dataType: FLOAT,
  dims: [BigInt(floatData.length)],
  floatData,
});

const number = (name: string, value: number) => ({ name, dataType: FLOAT, dims: [], floatData: [value] });
const wholes = (name: string, values: readonly number[]) => ({
  name,
  dataType: INT64,
  dims: [BigInt(values.length)],
  int64Data: values.map((v) => BigInt(v)),
});

/** A graph of one node that reads x [N, 4, 2, 3]. */
function one(opType: string, attribute: AttributeInit[], more: GraphInit = {}, input: string[] = []): GraphInit {
  return {
    input: [{ name: 'x', type: tensorType(FLOAT, ['N', 4, 2, 3]) }],
    node: [{ opType, input: ['x', ...input], output: ['y'], attribute }],
    output: [{ name: 'y', type: { value: { case: 'tensorType', value: { elemType: FLOAT } } } }],
    ...more,
  };
}

const cases: [string, number, GraphInit][] = [
  ['Softmax over a flattened matrix', 11, one('Softmax', [])],
  ['Softmax over a negative axis of the matrix', 12, one('Softmax', [intAttribute('axis', -2)])],
  ['LogSoftmax along the last axis', 12, one('LogSoftmax', [intAttribute('axis', 3)])],
  ['Hardmax over a flattened matrix', 11, one('Hardmax', [intAttribute('axis', 2)])],
  ['Clip with bounds as attributes', 10, one('Clip', [floatAttribute('min', 0.2), floatAttribute('max', 2)])],
  ['Clip with one bound', 7, one('Clip', [floatAttribute('max', 1)])],
  ['Pad', 10, one('Pad', [intsAttribute('pads', [0, 0, 1, 2, 0, 0, 0, 1]), floatAttribute('value', 0.5)])],
  [
    'Pad by reflection',
    10,
    one('Pad', [intsAttribute('pads', [0, 0, 1, 2, 0, 0, 1, 1]), textAttribute('mode', 'reflect')]),
  ],
  [
    'Slice',
    9,
    one('Slice', [intsAttribute('starts', [1, -2]), intsAttribute('ends', [3, 9]), intsAttribute('axes', [1, 3])]),
  ],
  ['Slice without axes', 7, one('Slice', [intsAttribute('starts', [0, 1]), intsAttribute('ends', [9, 3])])],
  [
    'TopK',
    9,
    one('TopK', [intAttribute('k', 2), intAttribute('axis', 1)], {
      node: [
        {
          opType: 'TopK',
          input: ['x'],
          output: ['y', 'places'],
          attribute: [intAttribute('k', 2), intAttribute('axis', 1)],
        },
      ],
    }),
  ],
  ['Unsqueeze', 11, one('Unsqueeze', [intsAttribute('axes', [0, 3])])],
  [
    'Squeeze',
    11,
    one('Squeeze', [intsAttribute('axes', [0])], {
      input: [{ name: 'x', type: tensorType(FLOAT, [2, 4, 2, 3]) }],
      node: [
        { opType: 'Unsqueeze', input: ['x'], output: ['u'], attribute: [intsAttribute('axes', [0])] },
        { opType: 'Squeeze', input: ['u'], output: ['y'], attribute: [intsAttribute('axes', [0])] },
      ],
    }),
  ],
  ['ReduceSum', 12, one('ReduceSum', [intsAttribute('axes', [1, -1]), intAttribute('keepdims', 0)])],
  ['ReduceL2', 13, one('ReduceL2', [intsAttribute('axes', [2])])],
  ['Dropout with a ratio', 7, one('Dropout', [floatAttribute('ratio', 0.3)])],
  ['Dropout with a ratio as input', 12, one('Dropout', [], { initializer: [number('r', 0.3)] }, ['r'])],
  [
    'Clip with its upper bound as input alone',
    11,
    one('Clip', [], { initializer: [number('high', 0.8)] }, ['', 'high']),
  ],
  ['ReduceMean over all axes', 7, one('ReduceMean', [intAttribute('keepdims', 1)])],
  ['Unsqueeze of set 7', 7, one('Unsqueeze', [intsAttribute('axes', [2])])],
  [
    'Slice with inputs',
    10,
    one(
      'Slice',
      [],
      {
        initializer: [
          wholes('starts', [-1, 0]),
          wholes('ends', [-9, 2]),
          wholes('axes', [3, 1]),
          wholes('steps', [-2, 1]),
        ],
      },
      ['starts', 'ends', 'axes', 'steps'],
    ),
  ],
  [
    'Pad with inputs',
    11,
    one('Pad', [textAttribute('mode', 'edge')], { initializer: [wholes('pads', [0, 0, 1, 0, 0, 1, 0, 2])] }, ['pads']),
  ],
  ['Upsample, linear', 7, one('Upsample', [floatsAttribute('scales', [1, 1, 2, 2]), textAttribute('mode', 'linear')])],
  [
    'Resize of set 11 by sizes, its region and scales left out',
    11,
    one(
      'Resize',
      [textAttribute('mode', 'linear'), textAttribute('coordinate_transformation_mode', 'half_pixel')],
      { initializer: [floats('none', []), wholes('sizes', [2, 4, 5, 3])] },
      ['none', 'none', 'sizes'],
    ),
  ],
  [
    'Upsample with scales as attribute',
    8,
    one('Upsample', [floatsAttribute('scales', [1, 1, 2, 3]), textAttribute('mode', 'nearest')]),
  ],
  [
    'Upsample with scales as input',
    9,
    one('Upsample', [textAttribute('mode', 'linear')], { initializer: [floats('s', [1, 1, 2, 2])] }, ['s']),
  ],
  [
    'Resize of set 10',
    10,
    one('Resize', [textAttribute('mode', 'nearest')], { initializer: [floats('s', [1, 1, 2, 1.5])] }, ['s']),
  ],
  [
    'Resize of set 10 that shrinks an axis and lets another grow',
    10,
    one('Resize', [textAttribute('mode', 'nearest')], { initializer: [floats('s', [1, 1, 2, 0.6])] }, ['s']),
  ],
  [
    'Resize of set 18 that keeps proportions',
    18,
    one(
      'Resize',
      [
        textAttribute('mode', 'linear'),
        textAttribute('keep_aspect_ratio_policy', 'not_larger'),
        intsAttribute('axes', [2, 3]),
      ],
      { initializer: [wholes('sizes', [4, 9])] },
      ['', '', 'sizes'],
    ),
  ],
  ...(
    [
      ['output_shape', [intsAttribute('output_shape', [7, 8])]],
      ['output_shape beyond all windows', [intsAttribute('output_shape', [9, 8])]],
      ['SAME_UPPER', [textAttribute('auto_pad', 'SAME_UPPER')]],
      ['SAME_LOWER', [textAttribute('auto_pad', 'SAME_LOWER')]],
    ] as [string, AttributeInit[]][]
  ).map(([name, attributes]): [string, number, GraphInit] => [
    `ConvTranspose by ${name}`,
    17,
    one(
      'ConvTranspose',
      [...attributes, intsAttribute('strides', [3, 2])],
      {
        initializer: [
          {
            ...floats(
              'w',
              Array.from({ length: 48 }, (_, at) => Math.sin(at)),
            ),
            dims: [4n, 1n, 4n, 3n],
          },
        ],
      },
      ['w'],
    ),
  ]),
  [
    'Split with sizes, of which one part is not read',
    11,
    one('Split', [], {
      node: [
        {
          opType: 'Split',
          input: ['x'],
          output: ['y', 'unread'],
          attribute: [intAttribute('axis', 1), intsAttribute('split', [1, 3])],
        },
      ],
    }),
  ],
  [
    'BatchNormalization',
    9,
    one(
      'BatchNormalization',
      [],
      { initializer: ['a', 'b', 'c', 'd'].map((name, at) => floats(name, [1, 2, 0.5, 1 + at])) },
      ['a', 'b', 'c', 'd'],
    ),
  ],
  [
    'GroupNormalization with parameters per group',
    18,
    one(
      'GroupNormalization',
      [intAttribute('num_groups', 2)],
      { initializer: [floats('a', [1, 2]), floats('b', [0.5, 3])] },
      ['a', 'b'],
    ),
  ],
];

describe('operators of older sets', () => {
  test.each(cases)(
    '%s, of set %i, has the numbers that onnxruntime makes of the file as it is',
    async (_, opset, graph) => {
      const bytes = foreignModel(graph, { opset });
      const [theirs, ours] = [
        await runModel(bytes, { x: X }, ['y']),
        await runGraph(checkGraph(readModel(bytes)), { x: X }, ['y']),
      ];
      expect(ours['y']!.shape).toEqual(theirs['y']!.shape);
      expectClose(ours['y'], theirs['y']!, { rtol: 1e-6, atol: 1e-6 });
    },
  );
});

/** Operators whose result does not move with x. */
const FLAT = ['Hardmax over a flattened matrix'];

describe('gradients of older sets', () => {
  const random = (shape: readonly number[], seed: number): Tensor =>
    float32(
      Array.from({ length: elementCount(shape) }, (_, at) => Math.sin(seed + 7 * at * at)),
      shape,
    );

  test.each(cases)('%s, of set %i, agrees with differences of the file as it is', async (name, opset, graph) => {
    const bytes = foreignModel(graph, { opset });
    const y = (await runModel(bytes, { x: X }, ['y']))['y']!;
    const cotangent = random(y.shape, 1);
    const written = grad(bytes, { of: ['y'], wrt: ['x'] });
    const { 'gradient.x': gradient } = await runModel(written, { x: X, 'cotangent.y': cotangent }, ['gradient.x']);
    const session = await openModel(bytes);
    try {
      const value = async (x: Tensor): Promise<number> => {
        const { y: moved } = await session.run({ x: toOrt(x) }, ['y']);
        return dot(fromOrt(moved!), cotangent).value;
      };
      const found = await byDifferences({ x: X, v: random(X.shape, 2), gradient: gradient!, scale: 1, value });
      expect(found.error).toBeLessThan(0.01);
      expect(found.gradient === 0).toBe(FLAT.includes(name));
    } finally {
      await session.release();
    }
  });
});

/** Nodes of sets that onnxruntime does not run, and the same as set 13 writes it. */
const rewritten: [string, number, GraphInit, GraphInit][] = [
  [
    'Add beside an axis',
    6,
    one('Add', [intAttribute('broadcast', 1), intAttribute('axis', 1)], { initializer: [floats('c', [1, 2, 3, 4])] }, [
      'c',
    ]),
    one('Add', [], { initializer: [{ ...floats('c', [1, 2, 3, 4]), dims: [4n, 1n, 1n] }] }, ['c']),
  ],
  [
    'Mul beside the last axis',
    6,
    one('Mul', [intAttribute('broadcast', 1)], { initializer: [floats('c', [1, 2, 3])] }, ['c']),
    one('Mul', [], { initializer: [floats('c', [1, 2, 3])] }, ['c']),
  ],
  [
    'PRelu with a slope per channel',
    6,
    one('PRelu', [], { initializer: [floats('c', [0.1, 0.2, 0.3, 0.4])] }, ['c']),
    one('PRelu', [], { initializer: [{ ...floats('c', [0.1, 0.2, 0.3, 0.4]), dims: [4n, 1n, 1n] }] }, ['c']),
  ],
  [
    'Tile by one axis',
    1,
    one('Tile', [], { initializer: [number('tiles', 3), number('axis', 2)] }, ['tiles', 'axis']),
    one('Tile', [], { initializer: [wholes('repeats', [1, 1, 3, 1])] }, ['repeats']),
  ],
  [
    'Pad',
    1,
    one('Pad', [intsAttribute('paddings', [0, 0, 1, 0, 0, 0, 0, 2]), floatAttribute('value', 0.5)]),
    one('Pad', [], { initializer: [wholes('pads', [0, 0, 1, 0, 0, 0, 0, 2]), number('v', 0.5)] }, ['pads', 'v']),
  ],
  ['Concat without an axis', 3, one('Concat', [], {}, ['x']), one('Concat', [intAttribute('axis', 1)], {}, ['x'])],
  ['Cast by name', 5, one('Cast', [textAttribute('to', 'FLOAT')]), one('Cast', [intAttribute('to', FLOAT)])],
  [
    'BatchNormalization that writes over its inputs',
    5,
    one(
      'BatchNormalization',
      [intAttribute('is_test', 1), intsAttribute('consumed_inputs', [0, 0, 0, 1, 1])],
      { initializer: ['a', 'b', 'c', 'd'].map((name, at) => floats(name, [1, 2, 0.5, 1 + at])) },
      ['a', 'b', 'c', 'd'],
    ),
    one(
      'BatchNormalization',
      [],
      { initializer: ['a', 'b', 'c', 'd'].map((name, at) => floats(name, [1, 2, 0.5, 1 + at])) },
      ['a', 'b', 'c', 'd'],
    ),
  ],
];

describe('operators of the first sets', () => {
  test.each(rewritten)('%s, of set %i, has the numbers of set 13', async (_, opset, old, recent) => {
    const ours = await runGraph(checkGraph(readModel(foreignModel(old, { opset }))), { x: X }, ['y']);
    const { y } = await runModel(foreignModel(recent, { opset: 13 }), { x: X }, ['y']);
    expectClose(ours['y'], y!, { rtol: 1e-6, atol: 1e-6 });
  });

  test.each([
    ['Add', [intAttribute('broadcast', 1), intAttribute('axis', 3)], [1, 2], /more axes than there are/],
    ['Cast', [textAttribute('to', 'STRING')], [1], /element type "STRING" is not supported/],
  ] as [string, AttributeInit[], number[], RegExp][])('%s that cannot be', (name, attributes, shape, message) => {
    const c = { ...floats('c', [1, 2].slice(0, shape.at(-1))), dims: shape.map(BigInt) };
    const graph = one(name, attributes, { initializer: [c] }, name === 'Cast' ? [] : ['c']);
    expect(() => readModel(foreignModel(graph, { opset: 5 }))).toThrow(message);
  });
});

test.each([10, 16])('RoiAlign of set %i places its regions as onnxruntime does', async (opset) => {
  const initializer = [
    { ...floats('regions', [0, 0, 2, 1.5, 0.4, 0.2, 1.7, 1]), dims: [2n, 4n] },
    wholes('images', [1, 0]),
  ];
  const attributes = [intAttribute('output_height', 2), intAttribute('output_width', 3)];
  const bytes = foreignModel(one('RoiAlign', attributes, { initializer }, ['regions', 'images']), { opset });
  const [theirs, ours] = [await runModel(bytes, { x: X }, ['y']), await runGraph(readModel(bytes), { x: X }, ['y'])];
  expectClose(ours['y'], theirs['y']!, { rtol: 1e-6, atol: 1e-6 });
});

describe('conditions and functions', () => {
  const branch = (opType: string): GraphInit => ({
    node: [{ opType, input: ['x'], output: ['inside'] }],
    output: [{ name: 'inside' }],
  });
  const branches = [
    { name: 'then_branch', type: AttributeType.GRAPH, g: branch('Neg') },
    { name: 'else_branch', type: AttributeType.GRAPH, g: branch('Abs') },
  ];

  test.each([
    [2, -1],
    [3, 1],
  ])('a condition on a size that is known takes its branch (size %i)', async (size, sign) => {
    const graph: GraphInit = {
      node: [
        { opType: 'Shape', input: ['x'], output: ['sizes'] },
        { opType: 'Gather', input: ['sizes', 'one'], output: ['size'] },
        { opType: 'Equal', input: ['size', 'expected'], output: ['condition'] },
        { name: 'choice', opType: 'If', input: ['condition'], output: ['y'], attribute: branches },
      ],
      initializer: [
        { name: 'one', dataType: INT64, dims: [], int64Data: [1n] },
        { name: 'expected', dataType: INT64, dims: [], int64Data: [BigInt(size)] },
      ],
    };
    const { y } = await runGraph(readModel(foreignModel(graph)), { x: float32([1, 2], [1, 2]) });
    expectClose(y, float32([sign, 2 * sign], [1, 2]), { rtol: 0, atol: 0 });
  });

  test('functions that call functions are inlined, with the attributes of the call or the default', async () => {
    const attribute = { name: 'alpha', refAttrName: 'slope', type: AttributeType.FLOAT };
    const bytes = foreignModel(
      {
        node: [
          { opType: 'Twice', domain: 'my', input: ['x'], output: ['a'], attribute: [floatAttribute('slope', 0.5)] },
          { opType: 'Twice', domain: 'my', input: ['a'], output: ['y'] },
        ],
      },
      {
        imports: ['', 'my'],
        functions: [
          {
            name: 'Leak',
            domain: 'my',
            input: ['v'],
            output: ['w'],
            attribute: ['slope'],
            opsetImport: [{ domain: '', version: 17n }],
            node: [{ opType: 'LeakyRelu', input: ['v'], output: ['w'], attribute: [attribute] }],
          },
          {
            name: 'Twice',
            domain: 'my',
            input: ['v'],
            output: ['w'],
            attributeProto: [floatAttribute('slope', 0.25)],
            opsetImport: [
              { domain: '', version: 17n },
              { domain: 'my', version: 1n },
            ],
            node: [
              {
                opType: 'Leak',
                domain: 'my',
                input: ['v'],
                output: ['t'],
                attribute: [{ ...attribute, name: 'slope' }],
              },
              {
                opType: 'Leak',
                domain: 'my',
                input: ['t'],
                output: ['w'],
                attribute: [{ ...attribute, name: 'slope' }],
              },
            ],
          },
        ],
      },
    );
    const { y } = await runGraph(readModel(bytes), { x: float32([-64, 8], [1, 2]) });
    expectClose(y, float32([-1, 8], [1, 2]), { rtol: 0, atol: 0 });
  });
});
