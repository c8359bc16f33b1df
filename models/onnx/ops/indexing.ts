/**
 * @file Gathering, scattering, selecting.
 */
import type { GraphBuilder } from '../builder.ts';
import type { Value } from '../graph.ts';
import { int, text } from '../graph.ts';
import { unary } from './arity.ts';

export const nonZero = unary('NonZero');

export function gather(b: GraphBuilder, data: Value, indices: Value, axis = 0): Value {
  return b.node('Gather', [data, indices], { axis: int(axis) })[0]!;
}

export function gatherElements(b: GraphBuilder, data: Value, indices: Value, axis = 0): Value {
  return b.node('GatherElements', [data, indices], { axis: int(axis) })[0]!;
}

export function gatherNd(b: GraphBuilder, data: Value, indices: Value, batchDims = 0): Value {
  return b.node('GatherND', [data, indices], { batch_dims: int(batchDims) })[0]!;
}

export function scatterNd(
  b: GraphBuilder,
  data: Value,
  indices: Value,
  updates: Value,
  reduction: 'none' | 'add' = 'none',
): Value {
  return b.node('ScatterND', [data, indices, updates], { reduction: text(reduction) })[0]!;
}

export function scatterElements(
  b: GraphBuilder,
  data: Value,
  indices: Value,
  updates: Value,
  { axis = 0, reduction = 'none' }: { axis?: number; reduction?: 'none' | 'add' } = {},
): Value {
  return b.node('ScatterElements', [data, indices, updates], { axis: int(axis), reduction: text(reduction) })[0]!;
}
