import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { checkGraph } from '../../../models/onnx/check.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import type { Value } from '../../../models/onnx/graph.ts';
import { int } from '../../../models/onnx/graph.ts';
import { knownOperators } from '../../../models/onnx/infer.ts';
import * as op from '../../../models/onnx/ops.ts';
import type { Dim, Shape } from '../../../models/onnx/shapes.ts';
import { isUnknown } from '../../../models/onnx/shapes.ts';
import type { CaseContext } from '../../support/operator-cases.ts';
import { OPERATOR_CASES, elementsFor } from '../../support/operator-cases.ts';
import { runGraph } from '../../support/run-graph.ts';

/** Sizes that the symbols have in two runs. */
const RUNS = [
  { B: 1, T: 2, S: 9 },
  { B: 3, T: 5, S: 12 },
];
type Sizes = Readonly<Record<string, number>>;

/** Operators of other sets than ours, which onnxruntime refuses in set 21. */
const OTHER_SETS = ['Upsample', 'RMSNormalization'];
/** Their sizes depend on contents. */
const DATA_DEPENDENT = ['NonZero', 'Compress', 'NonMaxSuppression', 'Unique'];

function sizeOf(dim: Dim, sizes: Sizes): number {
  if (typeof dim === 'number') return dim;
  return dim.split('*').reduce((product, factor) => product * (sizes[factor] ?? Number(factor)), 1);
}

interface Built {
  readonly builder: GraphBuilder;
  readonly values: readonly Value[];
  readonly below: ReadonlyMap<string, number>;
}

function build(operator: string, numbers: readonly number[], isSymbolic: boolean): Built {
  const b = new GraphBuilder(operator);
  const below = new Map<string, number>();
  let used = 0;
  const choose = (n: number): number => numbers[used++ % numbers.length]! % n;
  const dim = (): Dim => (isSymbolic && choose(2) === 0 ? (['B', 'T'] as const)[choose(2)]! : 1 + choose(5));
  const context: CaseContext = {
    b,
    below: choose,
    of: (...values) => values[choose(values.length)]!,
    dim,
    long: () => (isSymbolic && choose(2) === 0 ? 'S' : 9 + choose(4)),
    dims: (rank) => Array.from({ length: rank }, dim),
    input: (shape, dtype = 'float32', limit = 2) => {
      const name = `in${b.inputs.length}`;
      below.set(name, limit);
      return b.input(name, dtype, shape);
    },
    node: (...args) => b.node(...args),
  };
  const values = OPERATOR_CASES.get(operator)!(context);
  values.forEach((value, at) => b.output(`out${at}`, value));
  return { builder: b, values, below };
}

async function expectInferred({ builder, values, below }: Built, sizes: Sizes): Promise<void> {
  const graph = checkGraph(builder.build());
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name, dtype, shape }) => [
      name,
      elementsFor(
        dtype,
        shape.map((dim) => sizeOf(dim, sizes)),
        below.get(name)!,
      ),
    ]),
  );
  const made = await runGraph(graph, feeds, undefined, { optimisation: 'disabled' });
  values.forEach((value, at) => expectFits(made[`out${at}`]!, value, sizes));
}

function expectFits(tensor: Tensor, { dtype, shape }: Value, sizes: Sizes): void {
  expect(tensor.dtype).toBe(dtype);
  const expected = shape.map((dim, axis) => (isUnknown(dim) ? tensor.shape[axis] : sizeOf(dim, sizes)));
  expect(tensor.shape).toEqual(expected);
}

const randomNumbers = fc.array(fc.nat(9999), { minLength: 30, maxLength: 30 });

test('every operator that inference knows is tried below', () => {
  const missing = knownOperators().filter((name) => !OPERATOR_CASES.has(name));
  expect(missing.sort()).toEqual([...OTHER_SETS].sort());
});

describe.each([...OPERATOR_CASES.keys()])('%s', (operator) => {
  test('types and shapes are those that onnxruntime makes, all of them known where those of the inputs are', async () => {
    await fc.assert(
      fc.asyncProperty(randomNumbers, async (numbers) => {
        const built = build(operator, numbers, false);
        if (!DATA_DEPENDENT.includes(operator)) {
          for (const { shape } of built.values) expect(shape.every((dim) => typeof dim === 'number')).toBe(true);
        }
        await expectInferred(built, {});
      }),
      { numRuns: 15 },
    );
  });

  test('symbolic sizes hold for two batch sizes', async () => {
    await fc.assert(
      fc.asyncProperty(randomNumbers, async (numbers) => {
        for (const sizes of RUNS) await expectInferred(build(operator, numbers, true), sizes);
      }),
      { numRuns: 15 },
    );
  });
});

describe('sizes that are known at run time only', () => {
  const FEEDS: Record<string, Tensor> = {
    x: float32(
      Array.from({ length: 24 }, (_, at) => at % 5),
      [2, 3, 4],
    ),
    i: int64([2, 2]),
    n: int64([3], []),
  };
  const TRUE: Tensor = { dtype: 'bool', shape: [1], data: Uint8Array.of(1) };
  const unknown = (shape: Shape): string => shape.map((dim) => (isUnknown(dim) ? '?' : String(dim))).join(' ');

  test.each<[string, string, (b: GraphBuilder, x: Value, i: Value, n: Value) => Value]>([
    [
      'reshape to a vector of the input',
      '? ?',
      (b, x, i) => op.reshapeTo(b, op.slice(b, x, { starts: [0, 0], ends: [1, 1], axes: [0, 1] }), i),
    ],
    [
      'reshape to a choice between sizes of the input',
      '? ?',
      (b, x, i) => {
        const small = op.slice(b, x, { starts: [0, 0], ends: [1, 1], axes: [0, 1] });
        return op.reshapeTo(b, small, op.where(b, op.greater(b, i, b.int64([1])), i, op.add(b, i, i)));
      },
    ],
    [
      'reshape to a choice in which one side alone is known, and shorter than the other',
      '? ?',
      (b, x, i) => {
        const small = op.slice(b, x, { starts: [0, 0], ends: [1, 1], axes: [0, 1] });
        return op.reshapeTo(b, small, b.node('Where', [b.constant(TRUE), b.int64([2]), i])[0]!);
      },
    ],
    [
      'expand to sizes of the input',
      '2 3 4 ? ?',
      (b, x, i) => op.expandTo(b, op.unsqueeze(b, x, [3, 4]), op.concat(b, [b.int64([2, 3, 4]), i], 0)),
    ],
    [
      'slice up to an end of the input',
      '2 ? 4',
      (b, x, _, n) => b.node('Slice', [x, b.int64([0]), op.unsqueeze(b, n, [0]), b.int64([1])])[0]!,
    ],
    [
      'range up to a number of the input',
      '?',
      (b, _x, _i, n) => op.range(b, b.scalar(0, 'int64'), n, b.scalar(1, 'int64')),
    ],
    ['elements that are not zero', '?', (b, x) => op.gatherNd(b, x, op.transpose(b, op.nonZero(b, x)))],
    [
      'two unknown sizes side by side',
      '? 3',
      (b, x) => {
        const k = op.transpose(b, op.nonZero(b, x));
        return op.concat(b, [k, k], 0);
      },
    ],
    [
      'a sum with what has the same unknown size',
      '?',
      (b, x) => {
        const k = op.gatherNd(b, x, op.transpose(b, op.nonZero(b, x)));
        return op.add(b, k, op.mul(b, k, k));
      },
    ],
    [
      'an unknown number of rows in a product',
      '? 2',
      (b, x) => {
        const k = op.cast(b, op.transpose(b, op.nonZero(b, x)), 'float32');
        return op.matMul(b, k, b.constant(float32([1, 2, 3, 4, 5, 6], [3, 2])));
      },
    ],
    ['zeros like it', '?', (b, x) => op.zerosLike(b, op.gatherNd(b, x, op.transpose(b, op.nonZero(b, x))))],
    [
      'flattened, and back to the shape that it had',
      '? 3',
      (b, x) => {
        const k = op.transpose(b, op.nonZero(b, x));
        return op.reshape(b, op.reshapeTo(b, k, b.int64([-1])), k.shape);
      },
    ],
    [
      'repeated as often as the input says',
      '? ? ?',
      (b, x, i) => b.node('Tile', [x, op.concat(b, [i, b.int64([1])], 0)])[0]!,
    ],
    ['top k', '2 3 ?', (b, x, _, n) => b.node('TopK', [x, op.unsqueeze(b, n, [0])], {}, 2)[0]!],
    ['padding of the input', '? ? ?', (b, x, i) => b.node('Pad', [x, op.concat(b, [i, i, i], 0)])[0]!],
  ])('%s: %s', async (_, expected, append) => {
    const b = new GraphBuilder('g');
    const value = append(b, b.input('x', 'float32', [2, 3, 4]), b.input('i', 'int64', [2]), b.input('n', 'int64', []));
    b.output('y', value);
    expect(unknown(value.shape)).toBe(expected);
    const made = await runGraph(checkGraph(b.build()), FEEDS, undefined, { optimisation: 'disabled' });
    expectFits(made['y']!, value, {});
  });
});

describe('impossible inputs are an error that names node and operator', () => {
  test.each<[string, (b: GraphBuilder, x: Value, y: Value) => unknown]>([
    ['shapes [2, 3] and [4, 5] cannot be broadcast', (b, x, y) => op.add(b, x, y)],
    ['inner sizes', (b, x, y) => op.matMul(b, x, y)],
    ['is no permutation of the axes', (b, x) => op.transpose(b, x, [0, 0])],
    ['[2, 3] has 6 elements, [4] has 4', (b, x) => op.reshape(b, x, [4])],
    ['cannot be reshaped', (b, x) => op.reshapeTo(b, x, b.int64([4, -1]))],
    ['more than one size is -1', (b, x) => op.reshapeTo(b, x, b.int64([-1, -1]))],
    ['size of axis 0: 2 against 4', (b, x, y) => op.concat(b, [x, y], 1)],
    [
      'inputs have shapes [2] and [4, 5]',
      (b, x, y) => op.concat(b, [op.reduceSum(b, x, { axes: [1], keepdims: false }), y], 0),
    ],
    ['axis 2 is outside a tensor of rank 2', (b, x) => op.softmax(b, x, 2)],
    ['axis 1 has size 3, expected 1', (b, x) => op.squeeze(b, x, [1])],
    ['types float32 and int64', (b, x) => op.add(b, x, op.cast(b, x, 'int64'))],
    ['pads has 3 numbers, expected 4', (b, x) => op.pad(b, x, [1, 1, 1])],
    ['cuts more than there is', (b, x) => op.pad(b, x, [-3, 0, 0, 0])],
    ['input 1 is missing', (b, x) => b.node('Conv', [x])],
    ['a step is 0', (b, x) => op.slice(b, x, { starts: [0], ends: [1], axes: [0], steps: [0] })],
    ['do not add up to 3', (b, x) => op.split(b, x, [1, 1], 1)],
    ['the condition has type float32, expected bool', (b, x) => op.where(b, x, x, x)],
    ['6 outputs are asked for, it has 1', (b, x) => b.node('Relu', [x], {}, 6)],
    ['operator Nothing is not supported', (b, x) => b.node('Nothing', [x])],
    [
      'attribute "axis" must be of type int, found string',
      (b, x) => b.node('Softmax', [x], { axis: { type: 'string', value: 'x' } }),
    ],
    ['repeats has 1 numbers, expected 2', (b, x) => op.tile(b, x, [2])],
    ['the delta is 0', (b) => op.range(b, b.scalar(0, 'int64'), b.scalar(4, 'int64'), b.scalar(0, 'int64'))],
    ['expected rank 4', (b, x) => b.node('DepthToSpace', [x], { blocksize: { type: 'int', value: 2 } })],
    ['axes must be given', (b, x) => b.node('Squeeze', [op.nonZero(b, x)])],
  ])('%s', (message, append) => {
    const b = new GraphBuilder('g');
    const [x, y] = [b.input('x', 'float32', [2, 3]), b.input('y', 'float32', [4, 5])];
    const run = (): unknown => b.scope('layer', () => append(b, x, y));
    expect(run).toThrow(message);
    expect(run).toThrow(/^node \/layer\/\w+ \(\w+\): /);
  });
});

test('a batch normalisation in training gives statistics per channel, one in use does not', async () => {
  const made = (training: 0 | 1): GraphBuilder => {
    const b = new GraphBuilder('norm');
    const x = b.input('x', 'float32', ['B', 3, 4]);
    // What goes in is written over: no constant twice.
    const parameters = [1, 2, 3, 4].map((at) => b.input(`p${at}`, 'float32', [3]));
    const outputs = b.node(
      'BatchNormalization',
      [x, ...parameters],
      { training_mode: int(training) },
      training ? 3 : 1,
    );
    outputs.forEach((value, at) => b.output(`y${at}`, value));
    return b;
  };
  const graph = checkGraph(made(1).build());
  const vector = float32([1, 2, 3]);
  const x = float32(
    Array.from({ length: 24 }, (_, at) => at % 5),
    [2, 3, 4],
  );
  const results = await runGraph(graph, { x, p1: vector, p2: vector, p3: vector, p4: vector });
  expect(graph.outputs.map(({ shape }) => shape)).toEqual([['B', 3, 4], [3], [3]]);
  expect(Object.values(results).map(({ shape }) => shape)).toEqual([[2, 3, 4], [3], [3]]);
  expect(made(0).outputs.map(({ shape }) => shape)).toEqual([['B', 3, 4]]);
});
