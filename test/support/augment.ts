/**
 * @file What the tests of the cutouts share: fixtures of `augment` with the tolerance that their index states, matrices
 * in both directions, and gradients of a graph with the adjoints that layers bring along.
 */
import { readFileSync } from 'node:fs';

import { expect } from 'vitest';

import { invert } from '../../inversion/warp.ts';
import { vjp } from '../../models/autodiff/differentiate.ts';
import type { Rule } from '../../models/autodiff/rule.ts';
import { floating, type PlaceType } from '../../models/nn/homography.ts';
import type { OwnAdjoint } from '../../models/nn/own-adjoint.ts';
import type { GraphBuilder } from '../../models/onnx/builder.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { float32 } from '../../models/onnx/dtype.ts';
import type { Node, Value } from '../../models/onnx/graph.ts';
import { difference, expectClose } from './close.ts';
import { fixturePath, readFixture, tensorOf, type Fixture } from './fixtures.ts';
import { toNumbers } from './numbers.ts';

interface IndexEntry {
  readonly float32_error: Readonly<Record<string, { readonly max_abs: number }>>;
}

const index = (JSON.parse(readFileSync(fixturePath('index.json'), 'utf8')) as { augment: Record<string, IndexEntry> })
  .augment;

/** Times the error of the same program in float32 by torch: a fair bound for another float32 implementation. */
const FAIR = 10;

/** Half a unit in the last place of the largest values: what storing in float32 alone costs. */
const STORAGE = 2 ** -24;

export const augmentCases: readonly string[] = Object.keys(index).map((file) => file.replace('.safetensors', ''));

export function augmentFixture(name: string): Fixture {
  return readFixture(`augment/${name}.safetensors`);
}

/** Fails unless `actual` is as near to the fixture's tensor as its index says float32 can be, ten times over. */
export function expectAsStated(name: string, tensor: string, actual: Tensor | undefined): void {
  const expected = tensorOf(augmentFixture(name), tensor);
  const largest = largestOf(expected);
  const stated = index[`${name}.safetensors`]!.float32_error[tensor]!.max_abs;
  expectClose(actual, expected, { rtol: 0, atol: FAIR * Math.max(stated, STORAGE * largest) }, `${name} ${tensor}`);
}

/** Fails if any element differs by more than `share` of the largest expected one. */
export function expectWithin(actual: Tensor | undefined, expected: Tensor, share: number, what: string): void {
  const largest = largestOf(expected);
  expectClose(actual, expected, { rtol: 0, atol: share * largest }, what);
}

function largestOf(tensor: Tensor): number {
  return toNumbers(tensor).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

/** The gradient of `output` with respect to `wrt`, with the layers' own adjoints where given. */
export function gradientOf(
  b: GraphBuilder,
  { value, cotangent }: { readonly value: Value; readonly cotangent: Value },
  { wrt, adjoints = [] }: { readonly wrt: Value; readonly adjoints?: readonly OwnAdjoint[] },
): Value {
  const overrides = new Map<Node, Rule>(
    adjoints.map(({ node, adjoint }) => [node, ({ g }, builder) => adjoint(builder, g)]),
  );
  const [gradient] = vjp(b, [{ value, cotangent }], [wrt], { overrides });
  expect(gradient, `gradient with respect to ${wrt.name}`).toBeDefined();
  return gradient!;
}

/** Numbers of any type as float32, perhaps under another shape. */
export function asFloat32(tensor: Tensor, shape = tensor.shape): Tensor {
  return float32(toNumbers(tensor), shape);
}

/** Matrices [n, 2, 3] or [n, 3, 3] as [n, 3, 3]. */
export function squareMatrices(matrices: Tensor): Tensor {
  const [n, rows] = matrices.shape as [number, number, number];
  const values = toNumbers(matrices);
  const square = Array.from({ length: n }, (_, i) => [
    ...values.slice(i * rows * 3, (i + 1) * rows * 3),
    ...(rows === 2 ? [0, 0, 1] : []),
  ]);
  return float32(square.flat(), [n, 3, 3]);
}

export function inverses(matrices: Tensor, places: PlaceType = 'float64'): Tensor {
  const values = eachMatrix(matrices).flatMap((m) => [...invert(m)]);
  return floating(places, values, matrices.shape);
}

/** [n, 3, 3] as n arrays of 9. */
export function eachMatrix(matrices: Tensor): number[][] {
  const values = toNumbers(matrices);
  return Array.from({ length: matrices.shape[0]! }, (_, i) => values.slice(9 * i, 9 * i + 9));
}

/** Rows `from` up to, not including, `to` of a tensor. */
export function rowsOf(tensor: Tensor, from: number, to: number): Tensor {
  const size = tensor.data.length / tensor.shape[0]!;
  return { ...tensor, shape: [to - from, ...tensor.shape.slice(1)], data: tensor.data.slice(from * size, to * size) };
}

/** The largest difference over the largest expected value. */
export function largestShare(actual: Tensor, expected: Tensor): number {
  return difference(actual, expected, { rtol: 0, atol: 1 }).maxRel;
}

/** Numbers from -1 to 1 by a small generator of its own: the same in every run. */
export function pseudorandom(shape: readonly number[], seed: number): Tensor {
  let state = seed * 2654435761 + 1;
  const length = shape.reduce((product, size) => product * size, 1);
  const values = Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  return float32(values, shape);
}
