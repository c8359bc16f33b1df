/**
 * @file Gathering, scattering, selecting.
 */
import type { GraphBuilder } from '../builder.ts';
import type { Value } from '../graph.ts';
import { int, text } from '../graph.ts';
import { unary } from './arity.ts';
import { cast } from './elementwise.ts';

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
  return adding(b, { data, updates, reduction }, (onto, added) => {
    return b.node('ScatterND', [onto, indices, added], { reduction: text(reduction) })[0]!;
  });
}

export function scatterElements(
  b: GraphBuilder,
  data: Value,
  indices: Value,
  updates: Value,
  { axis = 0, reduction = 'none' }: { axis?: number; reduction?: 'none' | 'add' } = {},
): Value {
  return adding(b, { data, updates, reduction }, (onto, added) => {
    return b.node('ScatterElements', [onto, indices, added], { axis: int(axis), reduction: text(reduction) })[0]!;
  });
}

interface Scattering {
  readonly data: Value;
  readonly updates: Value;
  readonly reduction: 'none' | 'add';
}

/** onnxruntime's CPU kernels do not add numbers of half precision: they are added in float32. */
function adding(
  b: GraphBuilder,
  { data, updates, reduction }: Scattering,
  scatter: (data: Value, updates: Value) => Value,
): Value {
  const isHalf = data.dtype === 'float16' || data.dtype === 'bfloat16';
  if (!isHalf || reduction === 'none') return scatter(data, updates);
  return cast(b, scatter(cast(b, data, 'float32'), cast(b, updates, 'float32')), data.dtype);
}
