/**
 * @file Random small graphs for property tests: element by element, products, transposes, reductions, movement, and shape
 * arithmetic with a symbolic batch, all with repeated and unused parts, as exporters leave them.
 */
import fc from 'fast-check';

import { GraphBuilder } from '../../models/onnx/builder.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { elementCount, float32, int64 } from '../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../models/onnx/graph.ts';
import * as op from '../../models/onnx/ops.ts';

/** Chooses among `n` possibilities. */
type Choose = (n: number) => number;
type Step = (
  b: GraphBuilder,
  pick: (accepts?: (value: Value) => boolean) => Value | undefined,
  choose: Choose,
) => Value | undefined;

const hasRank = (rank: number) => (value: Value) => value.shape.length === rank;
const isMatrixLike = (value: Value): boolean => value.shape.length >= 2;

const STEPS: readonly Step[] = [
  (b, pick) => op.tanh(b, pick()!),
  (b, pick) => op.neg(b, pick()!),
  (b, pick) => op.identity(b, pick()!),
  (b, pick, choose) => op.mulScalar(b, pick()!, [1, 0.5, -2][choose(3)]!),
  (b, pick, choose) => {
    const x = pick()!;
    const y = pick((value) => value.shape.join() === x.shape.join())!;
    return [op.add, op.sub, op.mul, op.max][choose(4)]!(b, x, y);
  },
  (b, pick, choose) => {
    const x = pick()!;
    const axes = x.shape.map((_, axis) => axis);
    for (let at = axes.length - 1; at > 0; at -= 1) {
      const other = choose(at + 1);
      [axes[at], axes[other]] = [axes[other]!, axes[at]!];
    }
    return op.transpose(b, x, axes);
  },
  (b, pick) => {
    const x = pick(isMatrixLike);
    return x && op.transposeMatrix(b, x);
  },
  (b, pick) => {
    const x = pick(isMatrixLike);
    const y =
      x &&
      pick(
        (value) =>
          isMatrixLike(value) &&
          value.shape.at(-2) === x.shape.at(-1) &&
          (value.shape.length === 2 || value.shape.slice(0, -2).join() === x.shape.slice(0, -2).join()),
      );
    return y && op.matMul(b, x, y);
  },
  (b, pick) => {
    const x = pick(isMatrixLike);
    return x && op.tanh(b, op.matMul(b, x, op.transposeMatrix(b, x)));
  },
  (b, pick, choose) => {
    const x = pick(isMatrixLike);
    const width = x?.shape.at(-1);
    if (!x || typeof width !== 'number') return undefined;
    const weight = b.constant(
      float32(
        Array.from({ length: 3 * width }, (_, at) => Math.sin(at + choose(3)) / width),
        [3, width],
      ),
      'weight',
    );
    return op.matMul(b, x, op.transpose(b, weight));
  },
  (b, pick, choose) => {
    const x = pick((value) => value.shape.length > 0)!;
    return op.reduceMean(b, x, { axes: [choose(x.shape.length)], keepdims: choose(2) === 1 });
  },
  (b, pick, choose) => op.unsqueeze(b, pick()!, [choose(2)]),
  (b, pick, choose) => {
    const x = pick((value) => value.shape.length > 0)!;
    return op.concat(b, [x, x], choose(x.shape.length));
  },
  (b, pick) => {
    // Flattened by way of the sizes, as exporters do.
    const x = pick(hasRank(3));
    if (!x) return undefined;
    const sizes = b.node('Shape', [x])[0]!;
    const first = op.gather(b, sizes, b.int64([0]));
    const rest = op.mul(b, op.gather(b, sizes, b.int64([1])), op.gather(b, sizes, b.int64([2])));
    return op.reshapeTo(b, x, op.concat(b, [first, rest], 0));
  },
  (b, pick) => {
    const x = pick()!;
    const ones = op.constantOfShape(b, b.node('Shape', [x])[0]!, float32([1]));
    return op.add(b, x, ones);
  },
  (b, pick) => {
    // Positions along the last axis, added to it.
    const x = pick((value) => value.shape.length > 0)!;
    const sizes = b.node('Shape', [x])[0]!;
    const length = op.squeeze(b, op.gather(b, sizes, b.int64([-1])), [0]);
    const positions = op.range(b, b.scalar(0, 'int64'), length, b.scalar(1, 'int64'));
    return op.add(b, x, op.divScalar(b, op.cast(b, positions, 'float32'), 8));
  },
  (b, pick, choose) => {
    const x = pick((value) => typeof value.shape.at(-1) === 'number')!;
    const length = x.shape.at(-1) as number;
    return op.slice(b, x, { starts: [0], ends: [1 + choose(length)], axes: [-1] });
  },
  (b, pick) =>
    op.softmax(
      b,
      pick((value) => value.shape.length > 0)!,
    ),
];

/** Graphs with inputs x: [B, 3, 4], y: [3, 4], z: [B, 4, 3] and one to three outputs. */
export function randomGraph(maxSteps = 14): fc.Arbitrary<Graph> {
  const step = fc.array(fc.nat(1000), { minLength: 8, maxLength: 8 });
  return fc.array(step, { minLength: 1, maxLength: maxSteps }).map(build);
}

function build(steps: readonly (readonly number[])[]): Graph {
  const b = new GraphBuilder('random');
  const values = [
    b.input('x', 'float32', ['B', 3, 4]),
    b.input('y', 'float32', [3, 4]),
    b.input('z', 'float32', ['B', 4, 3]),
  ];
  for (const numbers of steps) {
    let used = 1;
    const choose: Choose = (n) => numbers[used++ % numbers.length]! % n;
    const pick = (accepts: (value: Value) => boolean = () => true): Value | undefined => {
      const fitting = values.filter((value) => accepts(value));
      return fitting.length === 0 ? undefined : fitting[fitting.length - 1 - choose(fitting.length)];
    };
    const made = b.scope(`step${values.length}`, () => STEPS[numbers[0]! % STEPS.length]!(b, pick, choose));
    if (made && made.shape.length <= 4 && sizeAt(made, 3) <= 4000) values.push(made);
  }
  values.slice(-3).forEach((value, at) => {
    // Exporters declare what a node makes; our builder appends an identity with the output's name.
    if (steps[0]![7]! % 2 === 0 && !b.inputs.includes(value)) b.outputAsNamed(value);
    else b.output(`out${at}`, value);
  });
  return b.build();
}

function sizeAt(value: Value, batch: number): number {
  return elementCount(value.shape.map((dim) => sizeOfDim(dim, batch)));
}

function sizeOfDim(dim: number | string, batch: number): number {
  if (typeof dim === 'number') return dim;
  return dim.split('*').reduce((product, factor) => product * (/^\d+$/.test(factor) ? Number(factor) : batch), 1);
}

/** Inputs with irregular values for a graph whose symbolic sizes are all `batch`. */
export function feedsFor(graph: Graph, batch: number): Record<string, Tensor> {
  return Object.fromEntries(
    graph.inputs.map(({ name, dtype, shape }, which) => {
      const sizes = shape.map((dim) => sizeOfDim(dim, batch));
      const numbers = Array.from({ length: elementCount(sizes) }, (_, at) => Math.sin(1 + 7 * at + 3 * which));
      return [name, dtype === 'int64' ? int64(numbers.map(Math.round), sizes) : float32(numbers, sizes)];
    }),
  );
}
