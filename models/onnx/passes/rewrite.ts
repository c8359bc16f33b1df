/**
 * @file Walks a graph from inputs to outputs and builds it anew; a pass says which nodes become something else. Everything
 * is inferred again on the way, so what one node's rewriting tells about shapes reaches the nodes behind it.
 */
import { RefereeError, quoted } from '../../../errors.ts';
import { GraphBuilder } from '../builder.ts';
import type { Graph, Initializer, Node, Value } from '../graph.ts';

export interface Rewriting {
  /** The graph that is being built. */
  readonly b: GraphBuilder;
  /** The node of the new graph that makes a value, undefined for inputs and initializers. */
  readonly maker: (value: Value) => Node | undefined;
  /** How many nodes and outputs of the old graph read what became this value; one for a value that is new. */
  readonly readers: (value: Value) => number;
  /** Whether the node being visited makes an output of the graph, which must keep its name. */
  readonly makesOutput: boolean;
}

/** Replacements of a node's outputs, or undefined to keep the node. Its inputs are values of the new graph. */
export type Visit = (node: Node, rewriting: Rewriting) => readonly Value[] | undefined;

export interface RewriteOptions {
  /** The value of the new graph that stands for an initializer; undefined keeps it under its name. */
  readonly initializer?: (initializer: Initializer, b: GraphBuilder) => Value | undefined;
}

export function rewrite(graph: Graph, visit: Visit, { initializer: replace }: RewriteOptions = {}): Graph {
  const b = new GraphBuilder(graph.name);
  b.reserve(
    [
      ...graph.inputs,
      ...graph.initializers.map(({ value }) => value),
      ...graph.nodes.flatMap(({ outputs }) => outputs),
    ].map(({ name }) => name),
    graph.nodes.map(({ name }) => name),
  );
  const renewed = new Map<Value, Value>();
  const makers = new Map<Value, Node>();
  const counts = countReaders(graph);
  const readers = new Map<Value, number>();
  const becomes = (old: Value, value: Value): void => {
    renewed.set(old, value);
    readers.set(value, (readers.get(value) ?? 0) + (counts.get(old) ?? 0));
  };
  for (const input of graph.inputs) becomes(input, b.input(input.name, input.dtype, input.shape));
  for (const initializer of graph.initializers) {
    becomes(initializer.value, replace?.(initializer, b) ?? keepInitializer(initializer, b));
  }
  const renew = (value: Value): Value => {
    const found = renewed.get(value);
    if (!found)
      throw new RefereeError('Internal', `graph ${graph.name}: ${quoted(value.name)} is read before it is made`);
    return found;
  };
  const results = new Set(graph.outputs);
  let seen = 0;
  for (const old of graph.nodes) {
    const node: Node = { ...old, inputs: old.inputs.map((input) => input && renew(input)) };
    const outputs =
      visit(node, {
        b,
        maker: (value) => makers.get(value),
        readers: (value) => readers.get(value) ?? 1,
        makesOutput: old.outputs.some((output) => results.has(output)),
      }) ?? keepNode(node, b);
    for (const added of b.nodes.slice(seen)) for (const output of added.outputs) makers.set(output, added);
    seen = b.nodes.length;
    old.outputs.forEach((output, at) => becomes(output, outputs[at]!));
  }
  for (const output of graph.outputs) {
    const value = renew(output);
    if (value.name === output.name) b.outputAsNamed(value);
    else b.output(output.name, value);
  }
  return b.build();
}

/** Runs `append` so that new nodes are named like neighbours of `node`. */
export function besideNode<T>(b: GraphBuilder, node: Node, append: () => T): T {
  const end = node.name.lastIndexOf('/');
  return node.name.startsWith('/') && end > 0 ? b.scope(node.name.slice(1, end), append) : append();
}

/** The node as it is, in the new graph. */
export function keepNode(node: Node, b: GraphBuilder): Value[] {
  return b.namedNode({ ...node, outputs: node.outputs.map(({ name }) => name) });
}

/** The initializer as it is, in the new graph. */
export function keepInitializer({ value, data, external }: Initializer, b: GraphBuilder): Value {
  if (data) return b.namedConstant(value.name, data);
  return b.namedWeight(value.name, { dtype: value.dtype, shape: value.shape as readonly number[], external });
}

function countReaders(graph: Graph): Map<Value, number> {
  const counts = new Map<Value, number>();
  const read = (value: Value): unknown => counts.set(value, (counts.get(value) ?? 0) + 1);
  for (const node of graph.nodes) for (const input of node.inputs) if (input) read(input);
  for (const output of graph.outputs) read(output);
  return counts;
}
