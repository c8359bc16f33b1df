/**
 * @file Layer normalisations of one value with the same axes and epsilon have the same mean and deviation. One that is only
 * asked for these (an adjoint) takes them from another one, which gives them away as further outputs.
 */
import type { Graph, Node, Value } from '../graph.ts';
import { AttributeReader } from '../graph.ts';
import { normalAxis } from '../shapes.ts';
import { rewrite } from './rewrite.ts';

/** Y, mean, inverse deviation. */
const OUTPUTS = 3;

export function shareStatistics(graph: Graph): Graph {
  const donors = donorsOf(graph);
  if (donors.size === 0) return graph;
  const giving = new Set(donors.values());
  const given = new Map<string, readonly Value[]>();
  return rewrite(
    graph,
    (node, { b }) => {
      const donor = donors.get(node.name);
      if (donor !== undefined) return given.get(donor);
      if (!giving.has(node.name)) return undefined;
      const names = Array.from({ length: OUTPUTS }, (_, at) => node.outputs[at]?.name);
      const outputs = b.namedNode({ ...node, outputs: names });
      given.set(node.name, outputs);
      return outputs;
    },
    { operators: new Set(['LayerNormalization']) },
  );
}

/** Node that only needs statistics -> the node before it that has them, by name. */
function donorsOf(graph: Graph): Map<string, string> {
  const known = new Map<Value, Map<string, Node>>();
  const donors = new Map<string, string>();
  for (const node of graph.nodes) {
    const [x] = node.inputs;
    if (node.op !== 'LayerNormalization' || x?.dtype !== 'float32') continue;
    const settings = settingsOf(node, x);
    const others = known.get(x) ?? new Map<string, Node>();
    known.set(x, others);
    const other = others.get(settings);
    if (!other) others.set(settings, node);
    else if (!isRead(node.outputs[0]!, graph)) donors.set(node.name, other.name);
  }
  return donors;
}

function isRead(value: Value, { nodes, outputs }: Graph): boolean {
  return outputs.includes(value) || nodes.some(({ inputs }) => inputs.includes(value));
}

function settingsOf(node: Node, x: Value): string {
  const attributes = new AttributeReader(node.attributes, `node ${node.name}`);
  const axis = normalAxis(attributes.int('axis', -1), x.shape.length, `node ${node.name}`);
  return JSON.stringify([axis, attributes.float('epsilon', 1e-5), attributes.int('stash_type', 1)]);
}
