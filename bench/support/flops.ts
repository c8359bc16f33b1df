/**
 * @file Multiply-adds of a graph, by operator, from the shapes that inference found. Two operations each; everything else
 * (normalisations, activations, sums) counts as none, nor do the small products over rows whose number only run time knows.
 */
import type { Graph, Node } from '../../models/onnx/graph.ts';
import { AttributeReader } from '../../models/onnx/graph.ts';
import { isUnknown, type Dim } from '../../models/onnx/shapes.ts';

type Sizes = Readonly<Record<string, number>>;

/** Floating-point operations by operator for given sizes of the symbolic dimensions, such as `{ B: 8 }`. */
export function countFlops(graph: Graph, sizes: Sizes): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  for (const node of graph.nodes) {
    const flops = 2 * multiplyAdds(node, sizes);
    if (flops > 0) totals.set(node.op, (totals.get(node.op) ?? 0) + flops);
  }
  return totals;
}

/** The same by name of node; nodes without multiplications are left out. */
export function nodeFlops(graph: Graph, sizes: Sizes): ReadonlyMap<string, number> {
  const entries = graph.nodes.map((node) => [node.name, 2 * multiplyAdds(node, sizes)] as const);
  return new Map(entries.filter(([, flops]) => flops > 0));
}

function multiplyAdds(node: Node, sizes: Sizes): number {
  const shape = (of: { readonly shape: readonly Dim[] }): number[] => of.shape.map((dim) => sizeOf(dim, sizes));
  const count = (all: readonly number[]): number => all.reduce((product, size) => product * size, 1);
  const [x, y] = node.inputs;
  const [out] = node.outputs;
  if (!x || !y || !out) return 0;
  switch (node.op) {
    case 'Conv':
      return count(shape(out)) * count(shape(y).slice(1));
    case 'ConvTranspose':
      return count(shape(x)) * count(shape(y).slice(1));
    case 'MatMul':
      return count(shape(out)) * shape(x).at(-1)!;
    case 'Gemm': {
      const isTransposed = new AttributeReader(node.attributes, node.name).int('transA', 0) !== 0;
      return count(shape(out)) * shape(x)[isTransposed ? 0 : 1]!;
    }
    default:
      return 0;
  }
}

function sizeOf(dim: Dim, sizes: Sizes): number {
  if (typeof dim === 'number') return dim;
  return dim.split('*').reduce((product, part) => {
    const size = isUnknown(part) ? 0 : /^\d+$/.test(part) ? Number(part) : sizes[part];
    if (size === undefined) throw new Error(`the size of ${dim} is not known`);
    return product * size;
  }, 1);
}
