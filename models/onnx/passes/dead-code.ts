/**
 * @file Drops nodes and initializers that no output needs. Inputs stay: they are the graph's signature.
 */
import type { Graph, Value } from '../graph.ts';

export function dropDeadCode(graph: Graph): Graph {
  const needed = new Set<Value>(graph.outputs);
  const nodes = graph.nodes.toReversed().filter((node) => {
    const isNeeded = node.outputs.some((output) => needed.has(output));
    if (isNeeded) for (const input of node.inputs) if (input) needed.add(input);
    return isNeeded;
  });
  const initializers = graph.initializers.filter(({ value }) => needed.has(value));
  if (nodes.length === graph.nodes.length && initializers.length === graph.initializers.length) return graph;
  return { ...graph, initializers, nodes: nodes.reverse() };
}
