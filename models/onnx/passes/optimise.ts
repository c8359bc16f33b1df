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

const PASSES: readonly ((graph: Graph) => Graph)[] = [
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
  let best = graph;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const next = PASSES.reduce((current, pass) => pass(current), best);
    if (operators(next) === operators(best)) return next;
    best = next;
  }
  return best;
}

function operators(graph: Graph): string {
  return [graph.initializers.length, ...graph.nodes.map((node) => node.op)].join();
}
