/**
 * @file The passes in their order, again and again until nothing changes: folded shapes let reshapes vanish, which brings
 * transposes together, which makes expressions equal.
 */
import type { Graph } from '../graph.ts';
import { shareCommonSubexpressions } from './common-subexpressions.ts';
import { foldConstants } from './constant-folding.ts';
import { dropDeadCode } from './dead-code.ts';
import { foldTransposes } from './fold-transposes.ts';
import { dropNoOperations } from './no-operations.ts';
import { narrowRowProducts } from './row-products.ts';
import { shareGelus } from './share-gelus.ts';
import { shareStatistics } from './share-statistics.ts';

type Pass = (graph: Graph) => Graph;

const PASSES: readonly Pass[] = [
  dropDeadCode,
  foldConstants,
  dropNoOperations,
  shareGelus,
  shareStatistics,
  shareCommonSubexpressions,
  narrowRowProducts,
  foldTransposes,
  dropDeadCode,
];
/** Far above what graphs need; a pair of passes that undo each other would not end otherwise. */
const MAX_ROUNDS = 10;

/** A graph with the same inputs, outputs and numbers, and fewer nodes. Names of outputs stay. */
export function optimise(graph: Graph): Graph {
  let current = graph;
  /** What a pass has left as it was, it leaves as it is. */
  const left = new Map<Pass, Graph>();
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    // Of a graph that is behind us only what tells whether anything changed: a large one would lie beside its successors.
    const before = outline(current);
    for (const pass of PASSES) {
      if (left.get(pass) === current) continue;
      const next = pass(current);
      if (next === current) left.set(pass, current);
      current = next;
    }
    const after = outline(current);
    if (after.length === before.length && after.every((part, at) => part === before[at])) break;
  }
  return current;
}

function outline({ initializers, nodes }: Graph): (number | string)[] {
  return [initializers.length, ...nodes.map(({ op }) => op)];
}
