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
import { sizesOf } from '../sizes.ts';

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
      const firsts = distinct.map((label) => labels.indexOf(label));
      const repeated =
        summed.length === 0 ? whole : op.expandTo(b, op.unsqueeze(b, whole, summed), sizesOf(b, x, firsts));
      return ontoLabels(b, repeated, { x, labels, distinct });
    };
  });
};

interface Operand {
  readonly x: Value;
  readonly labels: readonly string[];
  readonly distinct: readonly string[];
}

/** From one axis per distinct label to the axes of the operand: a later one of the same label selects a diagonal. */
function ontoLabels(b: GraphBuilder, g: Value, { x, labels, distinct }: Operand): Value {
  if (distinct.length === labels.length) return unbroadcast(b, g, x);
  const later = labels.flatMap((label, axis) => (labels.indexOf(label) === axis ? [] : [axis]));
  const diagonals = later.map((axis) => diagonal(b, x, labels.indexOf(labels[axis]!), axis));
  const all = diagonals.reduce((product, ones) => op.mul(b, product, ones), op.unsqueeze(b, g, later));
  return unbroadcast(b, all, x);
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
