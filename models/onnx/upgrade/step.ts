/**
 * @file What a step of an upgrade is: a node as an older operator set writes it in, the same as a newer one does out.
 */
import { RefereeError } from '../../../errors.ts';
import type { GraphBuilder, NamedNode } from '../builder.ts';
import type { Attribute, AttributeReader, Attributes, Value } from '../graph.ts';

export interface UpgradeContext {
  /** Constants, and nodes that stand before the upgraded one, are appended to it. */
  readonly b: GraphBuilder;
  /** The operator set of the file. */
  readonly opset: number;
  /** Of the node. */
  readonly attributes: AttributeReader;
  /** Begins every message: node and operator. */
  readonly where: string;
}

export interface UpgradeStep {
  /** The first operator set that writes the node in the new way. */
  readonly until: number;
  readonly apply: (node: NamedNode, context: UpgradeContext) => NamedNode;
}

/** Steps of an operator, oldest first. */
export type UpgradeTable = Readonly<Record<string, readonly UpgradeStep[]>>;

export function without(attributes: Attributes, ...names: readonly string[]): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([key]) => !names.includes(key)));
}

export function withAttribute(node: NamedNode, name: string, value: Attribute): NamedNode {
  return { ...node, attributes: { ...node.attributes, [name]: value } };
}

/** The node with `added` as its inputs from position `at` on, and without the attributes that said the same. */
export function withInputs(
  node: NamedNode,
  at: number,
  added: readonly (Value | undefined)[],
  instead: readonly string[],
): NamedNode {
  const kept = Array.from({ length: at }, (_, position) => node.inputs[position]);
  return { ...node, inputs: [...kept, ...added], attributes: without(node.attributes, ...instead) };
}

/** The input that the operator cannot do without. */
export function givenInput(node: NamedNode, at: number, where: string): Value {
  const value = node.inputs[at];
  if (!value) throw new RefereeError('InvalidModel', `${where}: input ${at} is missing`);
  return value;
}
