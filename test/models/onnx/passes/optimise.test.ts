import fc from 'fast-check';
import { expect, test } from 'vitest';

import { checkGraph } from '../../../../models/onnx/check.ts';
import type { Graph } from '../../../../models/onnx/graph.ts';
import { shareCommonSubexpressions } from '../../../../models/onnx/passes/common-subexpressions.ts';
import { foldConstants } from '../../../../models/onnx/passes/constant-folding.ts';
import { dropDeadCode } from '../../../../models/onnx/passes/dead-code.ts';
import { foldTransposes } from '../../../../models/onnx/passes/fold-transposes.ts';
import { dropNoOperations } from '../../../../models/onnx/passes/no-operations.ts';
import { optimise } from '../../../../models/onnx/passes/optimise.ts';
import { printGraph } from '../../../../models/onnx/print.ts';
import { readModel, writeModel } from '../../../../models/onnx/protobuf.ts';
import { expectClose } from '../../../support/close.ts';
import { feedsFor, randomGraph } from '../../../support/random-graph.ts';
import { runGraph } from '../../../support/run-graph.ts';

const EXACT = { rtol: 0, atol: 0 };
// Products that are turned around add in another order: a few float32 roundings of sums of up to 40 terms near 1.
const ROUNDING = { rtol: 1e-5, atol: 1e-5 };

// onnxruntime packs a constant operand of a product ahead and then adds in another order, by a last digit.
const PACKED = { rtol: 1e-6, atol: 1e-6 };
const hasProduct = (graph: Graph): boolean => graph.nodes.some(({ op }) => op === 'MatMul' || op === 'Gemm');
/** For passes that leave every number as it was but may make an operand constant. */
const FOLDING = (graph: Graph): typeof EXACT => (hasProduct(graph) ? PACKED : EXACT);

const PASSES: [string, (graph: Graph) => Graph, (graph: Graph) => typeof EXACT][] = [
  ['dropDeadCode', dropDeadCode, () => EXACT],
  ['foldConstants', foldConstants, FOLDING],
  ['dropNoOperations', dropNoOperations, FOLDING],
  ['shareCommonSubexpressions', shareCommonSubexpressions, () => EXACT],
  ['foldTransposes', foldTransposes, () => ROUNDING],
  ['optimise', optimise, () => ROUNDING],
];

test.each(PASSES)('%s keeps the numbers of random graphs, for two batch sizes', async (_, pass, tolerance) => {
  await fc.assert(
    fc.asyncProperty(randomGraph(), async (graph) => {
      const passed = checkGraph(pass(graph));
      expect(passed.inputs.map(({ name }) => name)).toEqual(graph.inputs.map(({ name }) => name));
      expect(passed.outputs.map(({ name }) => name)).toEqual(graph.outputs.map(({ name }) => name));
      for (const batch of [1, 3]) {
        const feeds = feedsFor(graph, batch);
        // As written: onnxruntime's own passes would hide a difference.
        const before = await runGraph(graph, feeds, undefined, { optimisation: 'disabled' });
        const after = await runGraph(passed, feeds, undefined, { optimisation: 'disabled' });
        for (const [name, tensor] of Object.entries(before)) expectClose(after[name], tensor, tolerance(graph), name);
      }
    }),
    { numRuns: 60 },
  );
});

test('optimising twice changes nothing more', () => {
  fc.assert(
    fc.property(randomGraph(), (graph) => {
      const once = optimise(graph);
      expect(printGraph(optimise(once))).toBe(printGraph(once));
    }),
    { numRuns: 60 },
  );
});

test('an optimised graph is written and read like any other, also one read from a file', () => {
  fc.assert(
    fc.property(randomGraph(), (graph) => {
      const optimised = optimise(readModel(writeModel(graph)));
      expect(printGraph(checkGraph(readModel(writeModel(optimised))))).toBe(printGraph(optimised));
    }),
    { numRuns: 40 },
  );
});
