/**
 * @file Einsum: the cotangent of an operand is the Einsum of the result's cotangent and the other operands onto its
 * labels. Labels that only this operand has were summed: its cotangent is repeated along them. A label that it has twice
 * took a diagonal: its cotangent lies there and is zero elsewhere.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import { parseEinsum } from '../../onnx/einsum.ts';
import { int } from '../../onnx/graph.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { unbroadcast } from '../broadcast.ts';
import type { Contribution, Rule, RuleTable } from '../rule.ts';
import { expandLike, sizesOf } from '../sizes.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const einsum: Rule = ({ node, inputs, g, attributes }, b) => {
  const equation = parseEinsum(
    attributes.string('equation', ''),
    inputs.map((x) => x.shape),
    `node ${node.name} (Einsum)`,
  );
  const spelling = new Map([...equation.sizes.keys()].map((label, at) => [label, LETTERS[at]!]));
  const spell = (labels: readonly string[]): string => labels.map((label) => spelling.get(label)!).join('');
  return inputs.map((x, at): Contribution => {
    const labels = equation.operands[at]!;
    const others = inputs.flatMap((value, other) =>
      other === at ? [] : [{ value, labels: equation.operands[other]! }],
    );
    const elsewhere = new Set([...equation.output, ...others.flatMap((other) => other.labels)]);
    const distinct = [...new Set(labels)];
    const kept = distinct.filter((label) => elsewhere.has(label));
    return () => {
      const terms = [equation.output, ...others.map((other) => other.labels)].map(spell);
      const whole = op.einsum(b, `${terms.join(',')}->${spell(kept)}`, [g, ...others.map((other) => other.value)]);
      const summed = distinct.flatMap((label, axis) => (elsewhere.has(label) ? [] : [axis]));
      const repeated = op.unsqueeze(b, whole, summed);
      return ontoLabels(b, repeated, { x, labels, distinct });
    };
  });
};

interface Operand {
  readonly x: Value;
  readonly labels: readonly string[];
  readonly distinct: readonly string[];
}

/** From one axis per distinct label to the axes of the operand. */
function ontoLabels(b: GraphBuilder, g: Value, { x, labels, distinct }: Operand): Value {
  if (distinct.length === labels.length) return expandLike(b, unbroadcast(b, g, x), x);
  // Axes in the operand's order: a later one of the same label gets size 1 and is selected by a diagonal of ones.
  const firsts = distinct.map((label) => labels.indexOf(label));
  const order = firsts.map((_, at) => at).sort((one, two) => firsts[one]! - firsts[two]!);
  const spread = labels.flatMap((label, axis) => (labels.indexOf(label) === axis ? [] : [axis]));
  const laid = op.unsqueeze(b, op.transpose(b, g, order), spread);
  return spread.reduce(
    (sum, axis) => {
      const first = labels.indexOf(labels[axis]!);
      return op.mul(b, sum, diagonal(b, x, first, axis));
    },
    expandLike(b, laid, x),
  );
}

/** Ones where the coordinates along two axes of x are equal, with size 1 along the others. */
function diagonal(b: GraphBuilder, x: Value, first: number, second: number): Value {
  const zeros = op.constantOfShape(b, sizesOf(b, x, [first, second]), {
    dtype: 'float32',
    shape: [1],
    data: new Float32Array(1),
  });
  const ones = op.cast(b, b.node('EyeLike', [zeros], { k: int(0) })[0]!, x.dtype);
  const others = x.shape.flatMap((_, axis) => (axis === first || axis === second ? [] : [axis]));
  return op.unsqueeze(b, ones, others);
}

export const einsumRules: RuleTable = { Einsum: einsum };
