/**
 * @file Structures that are small in a file and grow in whoever reads it: repeated, nested, multiplied.
 */
import { AttributeProto_AttributeType as AttributeType } from '../../../models/onnx/onnx_pb.ts';
import { FLOAT, INT64, foreignModel, intAttribute, intsAttribute, tensorType } from '../../support/foreign-model.ts';
import type { Random } from './random.ts';

type Grow = (random: Random) => Uint8Array;

const model = (graph: object, functions: readonly object[] = []): Uint8Array =>
  foreignModel(graph, { functions: functions, imports: ['', 'local'] });

const node = (opType: string, input: readonly string[], output: readonly string[], more: object = {}): object => ({
  opType,
  input,
  output,
  ...more,
});

/** Powers of ten and their neighbours, seldom the largest. */
const large = (random: Random, most: number): number =>
  Math.floor(10 ** (random.unit() * Math.log10(most))) + random.below(3);

const chain = (opType: string, count: number, more: object = {}): object[] =>
  Array.from({ length: count }, (_, at) =>
    node(opType, [at === 0 ? 'x' : `v${at - 1}`], [at === count - 1 ? 'y' : `v${at}`], more),
  );

/** Functions that call the next one `width` times. */
const multiplying: Grow = (random) => {
  const [depth, width] = [1 + random.below(80), 1 + random.below(4)];
  const name = 'n'.repeat(random.below(2) === 0 ? 1 : 1000);
  const functions = Array.from({ length: depth }, (_, level) => ({
    name: `${name}${level}`,
    domain: 'local',
    input: ['v-'],
    output: [`v${width - 1}`],
    opsetImport: [{ domain: '', version: 17n }],
    node: Array.from({ length: width }, (__, at) =>
      level === depth - 1
        ? node('Neg', [at === 0 ? 'v-' : `v${at - 1}`], [`v${at}`])
        : node(`${name}${level + 1}`, [at === 0 ? 'v-' : `v${at - 1}`], [`v${at}`], { domain: 'local' }),
    ),
  }));
  return model({ node: [node(`${name}0`, ['x'], ['y'], { domain: 'local' })] }, functions);
};

/** A function whose branch calls it again. */
const callingItself: Grow = (random) => {
  const call = node('Again', ['a'], ['c'], { domain: 'local' });
  const branch = (name: string): object => ({
    name,
    type: AttributeType.GRAPH,
    g: { node: random.below(4) === 0 ? [node('Neg', ['a'], ['c'])] : [call], output: [{ name: 'c' }] },
  });
  const condition = node('Constant', [], ['yes'], {
    attribute: [{ name: 'value', type: AttributeType.TENSOR, t: { dataType: 9, int32Data: [1] } }],
  });
  const choice = node('If', ['yes'], ['b'], { attribute: [branch('then_branch'), branch('else_branch')] });
  const body = { name: 'Again', domain: 'local', input: ['a'], output: ['b'], node: [condition, choice] };
  return model({ node: [node('Again', ['x'], ['y'], { domain: 'local' })] }, [body]);
};

/** Every call takes a large attribute into the body. */
const copyingAttributes: Grow = (random) => {
  const t = { dataType: FLOAT, dims: [BigInt(100_000)], rawData: new Uint8Array(400_000) };
  const attribute = [{ name: 'value', refAttrName: 'value', type: AttributeType.TENSOR }];
  const body = { name: 'Big', domain: 'local', input: ['a'], output: ['a', 'b'], attribute: ['value'] };
  const functions = [{ ...body, node: [node('Constant', [], ['b'], { attribute })] }];
  const count = large(random, 3000);
  const calls = Array.from({ length: count }, (_, at) =>
    node('Big', [at === 0 ? 'x' : `v${at - 1}`], [at === count - 1 ? 'y' : `v${at}`, `w${at}`], {
      domain: 'local',
      attribute: at === 0 ? [{ name: 'value', type: AttributeType.TENSOR, t }] : [],
    }),
  );
  const defaults = { ...functions[0]!, attributeProto: [{ name: 'value', type: AttributeType.TENSOR, t }] };
  return model({ node: calls }, [defaults]);
};

/** A symbol multiplied with itself again and again. */
const multipliedSizes: Grow = (random) => {
  const count = large(random, 100);
  const opType = random.pick(['Mul', 'Add']);
  return model({
    node: [
      node('Shape', ['x'], ['n'], { attribute: [intAttribute('end', random.below(2) + 1)] }),
      ...Array.from({ length: count }, (_, at) =>
        node(opType, at === 0 ? ['n', 'n'] : [`m${at - 1}`, `m${at - 1}`], [`m${at}`]),
      ),
      node('ConstantOfShape', [`m${count - 1}`], ['ones']),
      node('Add', ['ones', 'x'], ['y']),
    ],
  });
};

/** Axes multiplied by reshapes: each joins x with itself. */
const multipliedAxes: Grow = (random) => {
  const count = large(random, 60);
  const flat = { attribute: [intAttribute('axis', 0)] };
  return model({
    node: Array.from({ length: count }, (_, at) => {
      const from = at === 0 ? 'x' : `c${at - 1}`;
      return [
        node('Flatten', [from], [`f${at}`], flat),
        node('Transpose', [`f${at}`], [`t${at}`]),
        node('MatMul', [`t${at}`, `f${at}`], [at === count - 1 ? 'y' : `c${at}`]),
      ];
    }).flat(),
  });
};

/** A vector of sizes that is known to be very long. */
const longShapes: Grow = (random) => {
  const length = large(random, 2 ** 40);
  const opType = random.pick(['ConstantOfShape', 'Reshape', 'Expand', 'Tile', 'Pad', 'Resize', 'Upsample']);
  const input = { ConstantOfShape: ['s'], Resize: ['x', '', '', 's'] }[opType] ?? ['x', 's'];
  return model({
    input: [
      { name: 'x', type: tensorType(FLOAT, ['N', 2]) },
      { name: 's', type: tensorType(opType === 'Upsample' ? FLOAT : INT64, [length]) },
    ],
    node: [node(opType, input, ['y'])],
  });
};

/** Ranks, windows, repetitions and steps of absurd size. */
const absurdSizes: Grow = (random) => {
  const size = large(random, 2 ** 40);
  const type = tensorType(FLOAT, [1, 1, size, random.pick([1, size])]);
  const kernel = intsAttribute('kernel_shape', [random.pick([1, 3, size]), random.pick([1, size])]);
  const pooled = (opType: string): object => ({
    input: [{ name: 'x', type }],
    node: [node(opType, ['x'], ['y'], { attribute: [kernel] })],
  });
  const layer = (opType: string, gates: number): object => ({
    input: [
      { name: 'x', type: tensorType(FLOAT, [size, 1, 2]) },
      { name: 'w', type: tensorType(FLOAT, [1, gates, 2]) },
      { name: 'r', type: tensorType(FLOAT, [1, gates, 1]) },
    ],
    node: [node(opType, ['x', 'w', 'r'], ['y'], { attribute: [intAttribute('hidden_size', 1)] })],
  });
  const spread = (opType: string, ...attribute: object[]): object => ({
    input: [{ name: 'x', type }],
    node: [node(opType, ['x'], ['y'], { attribute })],
  });
  return model(
    random.pick([
      ...['MaxPool', 'AveragePool', 'LpPool'].map(pooled),
      ...(
        [
          ['LSTM', 4],
          ['GRU', 3],
          ['RNN', 1],
        ] as const
      ).map(([opType, gates]) => layer(opType, gates)),
      spread('LRN', intAttribute('size', size)),
      spread('DepthToSpace', intAttribute('blocksize', size)),
      spread('SpaceToDepth', intAttribute('blocksize', size)),
      spread('Split', intAttribute('num_outputs', size)),
      spread('Concat', intAttribute('axis', size)),
    ]),
  );
};

/** The same node, name or output very often. */
const repeated: Grow = (random) => {
  const count = large(random, 20_000);
  const branch = (name: string, inside: string): object => ({
    name,
    type: AttributeType.GRAPH,
    g: { node: [node('Neg', ['x'], [inside])], output: [{ name: inside }] },
  });
  const known = { name: 'yes', dataType: 9, int32Data: [1] };
  const names = Array.from({ length: count }, (_, at) => `y${at}`);
  return model(
    random.pick<() => object>([
      () => ({ node: chain('Neg', count) }),
      () => ({ node: chain('Identity', count, { name: 'same' }) }),
      () => ({ node: chain('Expand', 1), output: names.map(() => ({ name: 'y' })) }),
      () => ({ node: names.map((name) => node('Tanh', ['x'], [name])), output: names.map((name) => ({ name })) }),
      () => ({
        node: [
          node(
            'Sum',
            names.map(() => 'x'),
            ['y'],
          ),
        ],
      }),
      () => ({ node: [node('Split', ['x'], ['y', ...names])] }),
      () => ({
        initializer: [known],
        node: names.map((name) =>
          node('If', ['yes'], [name === 'y0' ? 'y' : name], {
            attribute: [branch('then_branch', 'z'), branch('else_branch', 'z')],
          }),
        ),
      }),
      () => ({ node: chain('NoSuchOperator', count) }),
      () => ({ node: chain('Swish', count) }),
      () => ({
        input: [{ name: 'x', type: tensorType(FLOAT, [1, 2, 'T', 2]) }],
        node: chain('Attention', count).map((one) => ({
          ...one,
          input: (one as { input: string[] }).input.flatMap((x) => [x, x, x]),
        })),
      }),
      () => ({
        input: [{ name: 'x', type: tensorType(FLOAT, ['T', 1, 1]) }],
        initializer: ['w', 'r'].map((name) => ({ name, dataType: FLOAT, dims: [1n, 1n, 1n], floatData: [1] })),
        node: Array.from({ length: Math.ceil(count / 10) }, (_, at, { length } = { length: Math.ceil(count / 10) }) => [
          node('RNN', [at === 0 ? 'x' : `u${at - 1}`, 'w', 'r'], [`s${at}`], {
            attribute: [intAttribute('hidden_size', 1)],
          }),
          node('Squeeze', [`s${at}`, 'axes'], [at === length - 1 ? 'y' : `u${at}`]),
        ]).flat(),
      }),
    ])(),
  );
};

/** Messages within messages, deeper than any stack. */
const nested: Grow = (random) => {
  // ModelProto.graph (7), GraphProto.node (1), NodeProto.attribute (5), AttributeProto.g (6).
  let inner: Uint8Array = new Uint8Array();
  const path = random.pick([
    [0x0a, 0x2a, 0x32],
    [0x32, 0x0a, 0x2a],
  ]);
  for (let depth = large(random, 4000); depth > 0; depth -= 1) {
    for (const tag of path) inner = Buffer.concat([Uint8Array.of(tag), lengthOf(inner.length), inner]);
  }
  return new Uint8Array(Buffer.concat([Uint8Array.of(0x08, 8, 0x3a), lengthOf(inner.length), inner]));
};

function lengthOf(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest >= 128 ? (rest % 128) | 128 : rest);
    if (rest < 128) return Uint8Array.from(bytes);
  }
}

/** Graphs within the branches of graphs. */
const nestedBranches: Grow = (random) => {
  let inner = node('Neg', ['x'], ['z']);
  for (let depth = random.below(60); depth >= 0; depth -= 1) {
    const branch = (name: string): object => ({
      name,
      type: AttributeType.GRAPH,
      g: { node: [inner], output: [{ name: 'z' }] },
    });
    inner = node('If', ['yes'], [depth === 0 ? 'y' : 'z'], { attribute: [branch('then_branch')] });
  }
  return model({ initializer: [{ name: 'yes', dataType: 9, int32Data: [1] }], node: [inner] });
};

/** A way round. */
const cycle: Grow = (random) => {
  const count = large(random, 10_000);
  return model({ node: [...chain('Neg', count), node('Add', ['x', 'q0'], ['q1']), node('Neg', ['q1'], ['q0'])] });
};

export const GROWN: readonly (readonly [string, Grow])[] = Object.entries({
  multiplying,
  callingItself,
  copyingAttributes,
  multipliedSizes,
  multipliedAxes,
  longShapes,
  absurdSizes,
  repeated,
  nested,
  nestedBranches,
  cycle,
});
