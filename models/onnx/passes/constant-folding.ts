/**
 * @file Computes at build time what does not depend on inputs: shape arithmetic, also where only some sizes are symbolic,
 * and small expressions of constants. Weights of other files are never read.
 */
import type { GraphBuilder } from '../builder.ts';
import { tensorOfDims } from '../contents.ts';
import type { Tensor } from '../dtype.ts';
import { DTYPES, elementCount } from '../dtype.ts';
import type { Graph, Node, Value } from '../graph.ts';
import { AttributeReader, int } from '../graph.ts';
import type { Dim } from '../shapes.ts';
import { isStatic } from '../shapes.ts';
import { evaluate } from './evaluate.ts';
import { rewrite } from './rewrite.ts';

/** A result may be this large even if what it is made of is smaller (a causal mask of 77 x 77 is). */
const MAX_GROWN_ELEMENTS = 16_384;

export function foldConstants(graph: Graph): Graph {
  return rewrite(graph, (node, rewriting) => {
    const { b } = rewriting;
    const kept = rewriting.keep(withConstantShape(node, b));
    if (rewriting.makesOutput) return kept;
    return kept.map((value) => {
      const tensor = tensorOfDims(value, b.dimsOf(value)) ?? fromConstants(node, value, kept.length, b);
      return tensor ? b.constant(tensor, `${node.name}/folded`) : value;
    });
  });
}

function fromConstants(node: Node, value: Value, outputs: number, b: GraphBuilder): Tensor | undefined {
  if (outputs !== 1 || !isStatic(value.shape)) return undefined;
  if (node.inputs.some((input) => input && !b.knowsContents(input))) return undefined;
  const tensors = node.inputs.map((input) => input && b.constantOf(input));
  if (tensors.length === 0 || node.inputs.some((input, at) => input && !tensors[at])) return undefined;
  const given = tensors.reduce((total, tensor) => total + (tensor?.data.length ?? 0), 0);
  const made = elementCount(value.shape);
  if (made > Math.max(given, MAX_GROWN_ELEMENTS)) return undefined;
  const tensor = evaluate({
    op: node.op,
    inputs: tensors,
    attributes: new AttributeReader(node.attributes, node.name),
    dtype: value.dtype,
    shape: value.shape,
  });
  // What the evaluator makes has the size that inference promised, or inference and evaluator disagree.
  return tensor?.data.byteLength === made * DTYPES[value.dtype].bytes ? tensor : undefined;
}

/**
 * Reshape or Expand to a vector made at run time whose elements are known but for symbols: the arithmetic that made the
 * vector is dead where a constant says the same.
 */
function withConstantShape(node: Node, b: GraphBuilder): Node {
  const [x, vector] = node.inputs;
  if (!x || !vector || b.constantOf(vector)) return node;
  const dims = b.dimsOf(vector);
  if (!dims) return node;
  if (node.op === 'Expand') return expandedByConstant(node, x, { dims, b });
  return node.op === 'Reshape' ? reshapedByConstant(node, x, { dims, b }) : node;
}

interface Vector {
  readonly dims: readonly Dim[];
  readonly b: GraphBuilder;
}

/** A size that is there already is written 1, which leaves it. */
function expandedByConstant(node: Node, x: Value, { dims, b }: Vector): Node {
  const first = dims.length - x.shape.length;
  const written = dims.map((dim, axis) => (typeof dim === 'string' && x.shape[axis - first] === dim ? 1 : dim));
  return isStatic(written) ? { ...node, inputs: [x, b.int64(written)] } : node;
}

/** A size that stays is written 0, one other as -1. */
function reshapedByConstant(node: Node, x: Value, { dims, b }: Vector): Node {
  if (dims.includes(0) || dims.includes(-1)) return node;
  const written = dims.map((dim, axis): Dim => (typeof dim === 'string' && x.shape[axis] === dim ? 0 : dim));
  const symbolic = written.filter((dim) => typeof dim === 'string');
  if (symbolic.length > 1) return node;
  const constant = b.int64(written.map((dim) => (typeof dim === 'number' ? dim : -1)));
  return { ...node, inputs: [x, constant], attributes: { allowzero: int(0) } };
}
