/**
 * @file What every inferred shape must be, whatever sizes a file asks for: axes that can be counted, sizes that numbers hold.
 */
import type { Dim, Shape } from '../shapes.ts';
import { formatShape } from '../shapes.ts';
import { problem } from './context.ts';
import type { InferContext } from './rule.ts';

/** Far above what runtimes take. */
export const MOST_AXES = 64;

/** @throws RefereeError that names the node, for a shape that no tensor has */
export function checkInferred(context: InferContext, shape: Shape): void {
  if (shape.length > MOST_AXES) throw problem(context, `the result has ${shape.length} axes, at most ${MOST_AXES}`);
  let known = 1;
  for (const dim of shape as readonly (Dim | undefined)[]) {
    if (dim === undefined) throw problem(context, 'its inputs do not fit the operator');
    if (typeof dim === 'string') continue;
    if (!Number.isSafeInteger(dim) || dim < 0) throw problem(context, `the result would have the size ${dim}`);
    known *= Math.max(dim, 1);
  }
  // In bytes of the widest type, too.
  if (known * 8 > Number.MAX_SAFE_INTEGER) {
    throw problem(context, `the result would have the shape ${formatShape(shape)}, more than can be counted`);
  }
}
