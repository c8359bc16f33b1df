/**
 * @file The order that onnxruntime runs the nodes of a graph in, which is not that of the file: it goes backwards from what
 * nothing reads (`Graph::ReverseDFSFrom` with indices compared), and memory is held by that order.
 */
import type { Graph, Node } from './graph.ts';
import { producers } from './graph.ts';

/**
 * The nodes in the order of a sequential session. Of the inputs that a node waits for, the one whose maker stands last is
 * made first, with all that it needs; of the nodes that nothing waits for, the last one. Fusions of a session, which give
 * nodes other places, are not seen.
 */
export function executionOrder({ nodes }: Pick<Graph, 'nodes'>): Node[] {
  const makers = producers(nodes);
  const place = new Map(nodes.map((node, at) => [node, at]));
  const sources = new Map(
    nodes.map((node) => {
      const made = node.inputs.flatMap((input) => (input && makers.get(input)) ?? []);
      return [node, [...new Set(made)].sort((a, b) => place.get(a)! - place.get(b)!)];
    }),
  );
  const waitedFor = new Set([...sources.values()].flat());
  const ordered: Node[] = [];
  const visited = new Set<Node>();
  const stack = nodes.filter((node) => !waitedFor.has(node)).map((node) => ({ node, isReady: false }));
  for (let entry = stack.pop(); entry; entry = stack.pop()) {
    const { node, isReady } = entry;
    if (isReady) {
      ordered.push(node);
      continue;
    }
    if (visited.has(node)) continue;
    visited.add(node);
    stack.push({ node, isReady: true });
    for (const source of sources.get(node)!) stack.push({ node: source, isReady: false });
  }
  return ordered;
}
