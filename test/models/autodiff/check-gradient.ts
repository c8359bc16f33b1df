/**
 * @file Checks a gradient against central differences: for random directions v and cotangents c,
 * (c . f(x + h v) - c . f(x - h v)) / 2h = v . (J^T c). One number tests a whole Jacobian. Order 2 checks the gradient of
 * the gradient graph in the same way.
 */
import { expect } from 'vitest';

import { vjpOrZeros } from '../../../models/autodiff/differentiate.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { elementCount } from '../../../models/onnx/dtype.ts';
import type { Value } from '../../../models/onnx/graph.ts';
import { writeModel } from '../../../models/onnx/protobuf.ts';
import type { Dim } from '../../../models/onnx/shapes.ts';
import { formatShape, isStatic } from '../../../models/onnx/shapes.ts';
import { fromOrt, openModel, toOrt } from '../../support/run-graph.ts';

export type Build = (b: GraphBuilder, inputs: readonly Value[]) => Value;

/** What the graph is told of the shapes of its inputs: numbers, or a symbol for every axis. */
export type Known = 'static' | 'open';

export interface GradientCheck {
  /** Central differences are taken of this graph: the same function written out, where the operator itself works in float32. */
  readonly reference?: Build;
  readonly known?: Known;
  readonly order?: 1 | 2;
  /** Inputs that get no gradient (indices, conditions), by position. */
  readonly fixed?: readonly number[];
  /** A function that is linear in the differentiated inputs together allows a step of any size, also in float32. */
  readonly isLinear?: boolean;
  readonly seed?: number;
}

/** Relative to the sum of the absolute terms of v . gradient. Central differences in float64 leave about 1e-8. */
const TOLERANCE = { float64: 1e-6, float32: 2e-5 };

/** Numbers in -1..1, the same for the same seed (mulberry32). */
export function randoms(count: number, seed: number): number[] {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * 2 - 1;
  });
}

export function randomTensor(
  shape: readonly number[],
  seed: number,
  { dtype = 'float64', map = (x) => x }: { dtype?: 'float64' | 'float32'; map?: (x: number) => number } = {},
): Tensor {
  const values = randoms(elementCount(shape), seed).map((x) => map(x));
  return { dtype, shape, data: dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values) };
}

function declared(shape: readonly number[], at: number, known: Known): readonly Dim[] {
  return known === 'static' ? shape : shape.map((_, axis) => `d${at}x${axis}`);
}

/** Values of one order: functions `outs` of `ins`, cotangents of the outs, and what reverse mode makes of them. */
interface Level {
  readonly ins: readonly Value[];
  readonly outs: readonly Value[];
  readonly cotangents: readonly Value[];
  readonly gradients: readonly Value[];
}

function differentiated(b: GraphBuilder, ins: readonly Value[], outs: readonly Value[], order: number): Level {
  const cotangents = outs.map((out, at) => b.input(`c${order}x${at}`, out.dtype, out.shape));
  const pairs = outs.map((value, at) => ({ value, cotangent: cotangents[at]! }));
  return { ins, outs, cotangents, gradients: vjpOrZeros(b, pairs, ins) };
}

/** Shape of the result for inputs of these shapes. */
function resultShape(build: Build, inputs: readonly Tensor[]): readonly number[] {
  const b = new GraphBuilder('shape');
  const { shape } = build(
    b,
    inputs.map((tensor, at) => b.input(`x${at}`, tensor.dtype, tensor.shape)),
  );
  if (!isStatic(shape)) throw new Error(`the result has shape ${formatShape(shape)}`);
  return shape;
}

/** Fails unless the gradient of `build` at `inputs` agrees with differences of its values. */
export async function checkGradient(build: Build, inputs: readonly Tensor[], check: GradientCheck = {}): Promise<void> {
  const { known = 'static', order = 1, fixed = [], seed = 1, isLinear = false, reference = build } = check;
  const dtype = inputs.some((tensor) => tensor.dtype === 'float32') ? 'float32' : 'float64';
  const b = new GraphBuilder('check');
  const xs = inputs.map((tensor, at) => b.input(`x${at}`, tensor.dtype, declared(tensor.shape, at, known)));
  const free = xs.filter((_, at) => !fixed.includes(at));
  const first = differentiated(b, free, [build(b, xs)], 1);
  const level = order === 1 ? first : differentiated(b, [...free, ...first.cotangents], first.gradients, 2);
  const functions = order === 1 ? [reference(b, xs)] : level.outs;
  functions.forEach((value, at) => b.output(`f${at}`, value));
  level.gradients.forEach((value, at) => b.output(`g${at}`, value));

  const feeds = new Map(inputs.map((tensor, at) => [`x${at}`, tensor]));
  feeds.set('c1x0', randomTensor(resultShape(build, inputs), seed + 100, { dtype }));
  if (order === 2) {
    level.cotangents.forEach((value, at) => {
      feeds.set(value.name, randomTensor(feeds.get(free[at]!.name)!.shape, seed + 101 + at, { dtype }));
    });
  }
  const weights = level.cotangents.map((value) => feeds.get(value.name)!);
  const directions = level.ins.map((value, at) =>
    randomTensor(feeds.get(value.name)!.shape, seed + 200 + at, { dtype }),
  );

  const session = await openModel(writeModel(b.build()));
  try {
    const run = async (values: ReadonlyMap<string, Tensor>, prefix: 'f' | 'g', count: number): Promise<Tensor[]> => {
      const given = Object.fromEntries([...values].map(([name, tensor]) => [name, toOrt(tensor)]));
      const names = Array.from({ length: count }, (_, at) => `${prefix}${at}`);
      const results = await session.run(given, names);
      return names.map((name) => fromOrt(results[name]!));
    };
    // Small, so that random points hardly ever have a kink within reach.
    const step = isLinear ? 1 : 1e-7;
    const at = async (sign: number): Promise<Tensor[]> => {
      const moved = level.ins.map(
        ({ name }, i) => [name, shifted(feeds.get(name)!, directions[i]!, sign * step)] as const,
      );
      return run(new Map([...feeds, ...moved]), 'f', functions.length);
    };
    const [above, below] = [await at(1), await at(-1)];
    const found = await run(feeds, 'g', level.gradients.length);
    found.forEach((gradient, i) => {
      expect(gradient.shape, `shape of the gradient by ${level.ins[i]!.name}`).toEqual(directions[i]!.shape);
    });
    const numeric = (dot(above, weights).sum - dot(below, weights).sum) / (2 * step);
    const analytic = dot(found, directions);
    const size = analytic.size + (isLinear ? dot(above, weights).size : 0);
    const error = Math.abs(analytic.sum - numeric) / Math.max(size, 1e-3);
    if (!(error <= TOLERANCE[dtype])) {
      expect.fail(
        `v . gradient is ${analytic.sum}, central differences give ${numeric}: ${error.toExponential(2)} of the terms`,
      );
    }
  } finally {
    await session.release();
  }
}

function shifted(x: Tensor, direction: Tensor, step: number): Tensor {
  const data = (x.data as Float64Array).map((value, at) => value + step * Number(direction.data[at]!));
  return { ...x, data };
}

/** Inner product over all tensors, and the sum of its terms' sizes. */
function dot(a: readonly Tensor[], z: readonly Tensor[]): { sum: number; size: number } {
  let [sum, size] = [0, 0];
  a.forEach((tensor, i) => {
    tensor.data.forEach((value: number | bigint, at: number) => {
      const term = Number(value) * Number(z[i]!.data[at]);
      sum += term;
      size += Math.abs(term);
    });
  });
  return { sum, size };
}
