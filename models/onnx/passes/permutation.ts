/**
 * @file Permutations of axes, as transposes have them.
 */
import type { Node } from '../graph.ts';
import { AttributeReader } from '../graph.ts';

/** Of a Transpose; all axes turned around where it names none. */
export function permutationOf(node: Node): readonly number[] {
  const rank = node.inputs[0]!.shape.length;
  const given = new AttributeReader(node.attributes, node.name).ints('perm');
  return given ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
}

export function isIdentity(perm: readonly number[]): boolean {
  return perm.every((axis, at) => axis === at);
}

/** Exchanges the last two axes and nothing else. */
export function isMatrixSwap(perm: readonly number[]): boolean {
  const rank = perm.length;
  return rank >= 2 && perm.every((axis, at) => axis === (at < rank - 2 ? at : 2 * rank - 3 - at));
}
