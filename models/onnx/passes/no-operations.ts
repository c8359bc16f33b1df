/**
 * @file Takes out nodes that hand on their input: identities, reshapes and expansions to the shape that is there, whole
 * slices, casts to the same type. Shapes decide, also symbolic ones.
 */
import type { Graph, Node, Value } from '../graph.ts';
import { AttributeReader } from '../graph.ts';
import type { GraphBuilder } from '../builder.ts';
import { sameShape } from '../shapes.ts';
import { keepNode, rewrite } from './rewrite.ts';

/** Operators that change nothing if the shape stays the same. */
const ONLY_SHAPE = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Expand', 'Tile']);
const VARIADIC = new Set(['Concat', 'Sum', 'Max', 'Min', 'Mean']);

export function dropNoOperations(graph: Graph): Graph {
  return rewrite(graph, (node, { b }) => {
    const [x] = node.inputs;
    if (!x || node.outputs.length !== 1) return undefined;
    if (node.op === 'Identity') return [x];
    if (VARIADIC.has(node.op) && node.inputs.length === 1) return [x];
    if (node.op === 'Cast' && node.outputs[0]!.dtype === x.dtype) return [x];
    const couldBe = ONLY_SHAPE.has(node.op) || node.op === 'Slice' || node.op === 'Pad';
    if (!couldBe) return undefined;
    const kept = keepNode(node, b);
    return sameShape(x.shape, kept[0]!.shape) && keepsElements(node, b) ? [x] : kept;
  });
}

/** With the shape unchanged: whether the elements stay where they are. */
function keepsElements(node: Node, b: GraphBuilder): boolean {
  const isKnown = (value: Value | undefined, expected: number): boolean =>
    value === undefined || (b.dimsOf(value)?.every((element) => element === expected) ?? false);
  switch (node.op) {
    case 'Slice':
      return isKnown(node.inputs[4], 1);
    case 'Pad':
      return (
        isKnown(node.inputs[1], 0) &&
        node.inputs[1] !== undefined &&
        !new AttributeReader(node.attributes, node.name).has('pads')
      );
    default:
      return true;
  }
}
