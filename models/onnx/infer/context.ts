/**
 * @file What rules of inference share: required inputs, equal types, axes.
 */
import { RefereeError } from '../../../errors.ts';
import type { Value } from '../graph.ts';
import type { Dim } from '../shapes.ts';
import { formatShape, normalAxis } from '../shapes.ts';
import type { InferContext } from './rule.ts';

/** Input `at`, which the operator cannot do without. */
export function required(context: InferContext, at: number): Value {
  const value = context.inputs[at];
  if (!value) throw problem(context, `input ${at} is missing`);
  return value;
}

export function problem(context: Pick<InferContext, 'where'>, message: string): RefereeError {
  return new RefereeError('InvalidModel', `${context.where}: ${message}`);
}

/** All given inputs must have one element type. */
export function sameType(context: InferContext, values: readonly Value[]): void {
  const first = values[0];
  for (const value of values) {
    if (first && value.dtype !== first.dtype) {
      throw problem(context, `inputs have types ${first.dtype} and ${value.dtype}, expected one type`);
    }
  }
}

export function rankOf(context: InferContext, at: number, rank: number): Value {
  const value = required(context, at);
  if (value.shape.length !== rank)
    throw problem(context, `input ${at} has shape ${formatShape(value.shape)}, expected rank ${rank}`);
  return value;
}

export function axisOf(context: InferContext, axis: number, rank: number): number {
  return normalAxis(axis, rank, context.where);
}

/** Whole numbers of an optional constant integer input; undefined if absent; "unknown" if not known before run time. */
export function numbersOf(context: InferContext, at: number): readonly number[] | 'unknown' | undefined {
  const value = context.inputs[at];
  if (!value) return undefined;
  const dims = context.dims(value);
  return dims?.every((dim): dim is number => typeof dim === 'number') ? dims : 'unknown';
}

/** Two sizes that must be equal; symbols are believed. */
export function expectEqual(context: InferContext, a: Dim, b: Dim, what: string): void {
  if (typeof a === 'number' && typeof b === 'number' && a !== b) throw problem(context, `${what}: ${a} against ${b}`);
}
