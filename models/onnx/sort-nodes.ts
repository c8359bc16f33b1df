/**
 * @file Brings the nodes of a file into an order in which they can be executed; a sorted file keeps its order.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { NodeProto } from './onnx_pb.ts';
import { capturedNames } from './subgraphs.ts';

/** Names of values that exist before the nodes. */
export interface KnownNames {
  has(name: string): boolean;
}

/**
 * @param known names of inputs and initializers
 * @throws RefereeError `InvalidModel` for a value that is made twice, one that nobody makes, and a cycle
 */
export function sortNodes(nodes: readonly NodeProto[], known: KnownNames): NodeProto[] {
  const makers = findMakers(nodes, known);
  const sorted: NodeProto[] = [];
  const state = new Map<NodeProto, 'open' | 'done'>();
  for (const first of nodes) {
    // Depth first with a stack of its own: chains of nodes are longer than the call stack.
    const stack = [first];
    while (stack.length > 0) {
      const node = stack[stack.length - 1]!;
      if (state.get(node) === 'done') {
        stack.pop();
        continue;
      }
      const missing = namesRead(node)
        .filter((name) => name !== '' && !known.has(name))
        .map((name) => makerOf(name, node, makers))
        .filter((maker) => state.get(maker) !== 'done');
      if (missing.length === 0) {
        state.set(node, 'done');
        sorted.push(node);
        stack.pop();
        continue;
      }
      state.set(node, 'open');
      const repeated = missing.find((maker) => state.get(maker) === 'open');
      if (repeated) {
        throw new RefereeError('InvalidModel', `${describe(node)}: it reads, by way of others, what it makes: a cycle`);
      }
      // The first one on top, so that it comes first.
      stack.push(...missing.reverse());
    }
  }
  return sorted;
}

function namesRead(node: NodeProto): readonly string[] {
  const captured = capturedNames(node);
  return captured.length === 0 ? node.input : [...node.input, ...captured];
}

function findMakers(nodes: readonly NodeProto[], known: KnownNames): Map<string, NodeProto> {
  const makers = new Map<string, NodeProto>();
  for (const node of nodes) {
    for (const output of node.output) {
      if (output === '') continue;
      if (makers.has(output) || known.has(output)) {
        throw new RefereeError('InvalidModel', `${describe(node)}: the value ${quoted(output)} is made twice`);
      }
      makers.set(output, node);
    }
  }
  return makers;
}

function makerOf(name: string, node: NodeProto, makers: ReadonlyMap<string, NodeProto>): NodeProto {
  const maker = makers.get(name);
  if (!maker) throw new RefereeError('InvalidModel', `${describe(node)}: nothing makes its input ${quoted(name)}`);
  return maker;
}

function describe(node: NodeProto): string {
  return `node ${quoted(node.name)} (${quoted(node.opType).slice(1, -1)})`;
}
