/**
 * @file How far a tensor is from another.
 */
import { realsOf } from '../../activities/gradients/reals.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';

/** Largest difference of two elements, over the largest element of `expected`; infinite where sizes or numbers are missing. */
export function errorOf(found: Tensor, expected: Tensor): number {
  const [a, b] = [realsOf(found), realsOf(expected)];
  if (a.length !== b.length) return Infinity;
  let [error, largest] = [0, 0];
  for (let at = 0; at < a.length; at += 1) {
    error = Math.max(error, Number.isNaN(a[at]! - b[at]!) ? Infinity : Math.abs(a[at]! - b[at]!));
    largest = Math.max(largest, Math.abs(b[at]!));
  }
  return error === 0 ? 0 : error / largest;
}
