/**
 * @file Equations of Einsum: labels per operand and of the result, with "..." spelled out as labels of its own.
 */
import { RefereeError } from '../../errors.ts';
import type { Dim, Shape } from './shapes.ts';
import { broadcastShapes } from './shapes.ts';

export interface EinsumEquation {
  /** Labels of each operand, one per axis. Axes of "..." are called "0", "1" ... counted from the last. */
  readonly operands: readonly (readonly string[])[];
  readonly output: readonly string[];
  /** Size of each label; of "..." after broadcasting. */
  readonly sizes: ReadonlyMap<string, Dim>;
}

/** Parses an equation for operands of these shapes. Without "->" the result has the labels that occur once, sorted. */
export function parseEinsum(equation: string, shapes: readonly Shape[], where: string): EinsumEquation {
  const fail = (why: string): RefereeError =>
    new RefereeError('InvalidModel', `${where}: equation "${equation}" ${why}`);
  const [left = '', right] = equation.replaceAll(' ', '').split('->');
  const terms = left.split(',');
  if (terms.length !== shapes.length) throw fail(`has ${terms.length} operands, found ${shapes.length} inputs`);
  const ellipsisRank = Math.max(
    0,
    ...terms.map((term, at) => (term.includes('...') ? shapes[at]!.length - letters(term).length : 0)),
  );
  const operands = terms.map((term, at) => {
    const rank = shapes[at]!.length;
    const labels = spell(term, rank - letters(term).length);
    if (labels?.length !== rank) throw fail(`gives operand ${at} the labels "${term}", found rank ${rank}`);
    return labels;
  });
  const output = right === undefined ? implicitOutput(operands, ellipsisRank) : spell(right, ellipsisRank);
  if (!output) throw fail('has more than one "..." in a term');
  const sizes = new Map<string, Dim>();
  operands.forEach((labels, at) => {
    labels.forEach((label, axis) => {
      const dim = shapes[at]![axis]!;
      const known = sizes.get(label);
      sizes.set(label, known === undefined ? dim : broadcastShapes([[known], [dim]], `${where}: label "${label}"`)[0]!);
    });
  });
  const missing = output.find((label) => !sizes.has(label));
  if (missing !== undefined) throw fail(`has the label "${missing}" on the right only`);
  return { operands, output, sizes };
}

function letters(term: string): string {
  return term.replaceAll('.', '');
}

function spell(term: string, ellipsisRank: number): string[] | undefined {
  const parts = term.split('...');
  if (parts.length > 2) return undefined;
  if (parts.length === 1) return term.split('');
  const middle = Array.from({ length: Math.max(0, ellipsisRank) }, (_, axis) => String(ellipsisRank - 1 - axis));
  return [...parts[0]!.split(''), ...middle, ...parts[1]!.split('')];
}

function implicitOutput(operands: readonly (readonly string[])[], ellipsisRank: number): string[] {
  const counts = new Map<string, number>();
  for (const label of operands.flat()) counts.set(label, (counts.get(label) ?? 0) + 1);
  const once = [...counts].filter(([label, count]) => count === 1 && /[a-zA-Z]/.test(label)).map(([label]) => label);
  return [...Array.from({ length: ellipsisRank }, (_, axis) => String(ellipsisRank - 1 - axis)), ...once.sort()];
}
