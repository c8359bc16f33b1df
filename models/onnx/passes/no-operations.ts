/**
 * @file Takes out nodes that hand on their input: identities, reshapes and expansions to the shape that is there, whole
 * slices, casts to the same type; a reshape of a reshape becomes one. Shapes decide, also symbolic ones.
 */
import type { Graph, Node, Value } from '../graph.ts';
import { AttributeReader } from '../graph.ts';
import type { GraphBuilder } from '../builder.ts';
import * as op from '../ops.ts';
import type { Shape } from '../shapes.ts';
import { sameShape } from '../shapes.ts';
import type { Visit } from './rewrite.ts';
import { besideNode, rewrite } from './rewrite.ts';

/** Operators that change nothing if the shape stays the same. */
const ONLY_SHAPE = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Expand', 'Tile']);
/** Operators that give the same elements another shape: one after another is one. */
const RESHAPES = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);
const VARIADIC = new Set(['Concat', 'Sum', 'Max', 'Min', 'Mean']);

const SHAPED = new Set([...ONLY_SHAPE, 'Slice', 'Pad']);
const OPERATORS = new Set(['Identity', 'Cast', ...VARIADIC, ...SHAPED]);

export function dropNoOperations(graph: Graph): Graph {
  return rewrite(graph, visit, { operators: OPERATORS });
}

const visit: Visit = (node, rewriting) => {
  const { b } = rewriting;
  const [x] = node.inputs;
  if (!x || rewriting.makesOutput || node.outputs.length !== 1) return undefined;
  if (node.op === 'Identity') return [x];
  if (VARIADIC.has(node.op) && node.inputs.length === 1) return [x];
  if (node.op === 'Cast' && node.outputs[0]!.dtype === x.dtype) return [x];
  if (!SHAPED.has(node.op)) return undefined;
  const [kept] = rewriting.keep(node);
  if (sameShape(x.shape, kept!.shape) && keepsElements(node, b)) return [x];
  const inner = rewriting.maker(x);
  const isTwice = RESHAPES.has(node.op) && inner !== undefined && RESHAPES.has(inner.op);
  return isTwice && isWritable(kept!.shape)
    ? [besideNode(b, node, () => op.reshape(b, inner.inputs[0]!, kept!.shape))]
    : [kept!];
};

/** Whether a reshape can name this shape without reading sizes at run time. */
function isWritable(shape: Shape): boolean {
  return shape.filter((dim) => typeof dim === 'string').length <= 1 && !shape.includes(0);
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
