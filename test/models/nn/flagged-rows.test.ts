import { expect, test } from 'vitest';

import { onFlaggedRows } from '../../../models/nn/flagged-rows.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { optimise } from '../../../models/onnx/passes/optimise.ts';
import { gradientOf } from '../../support/augment.ts';
import { runGraph } from '../../support/run-graph.ts';

/** x to its square times a weight per row, where the flag is set. */
function squares(): Graph {
  const b = new GraphBuilder('rows');
  const x = b.input('x', 'float32', ['N', 2]);
  const flag = b.input('flag', 'float32', ['N']);
  const weight = b.input('weight', 'float32', ['N', 1]);
  const { output, adjoints } = onFlaggedRows(b, x, flag, (part, take) => {
    const isOn = op.greater(b, op.unsqueeze(b, take(flag), [1]), b.scalar(0));
    const squared = op.mul(b, take(weight), op.mul(b, part, part));
    return { output: op.where(b, isOn, squared, part), adjoints: [] };
  });
  b.output('y', output);
  const cotangent = b.input('cotangent', 'float32', output.shape);
  b.output('gradient', gradientOf(b, { value: output, cotangent }, { wrt: x, adjoints }));
  return b.build();
}

const x = float32([1, 2, 3, 4, 5, 6], [3, 2]);
const weight = float32([1, 10, 100], [3, 1]);
const cotangent = float32([1, 1, 2, 2, 3, 3], [3, 2]);

test.each([
  // y = w x^2 and y' = 2 w x, times the cotangent, in the rows with a flag.
  { flag: [0, 0, 0], y: [1, 2, 3, 4, 5, 6], gradient: [1, 1, 2, 2, 3, 3] },
  { flag: [0, 1, 0], y: [1, 2, 90, 160, 5, 6], gradient: [1, 1, 120, 160, 3, 3] },
  { flag: [1, 0, 0.5], y: [1, 4, 3, 4, 2500, 3600], gradient: [2, 4, 2, 2, 3000, 3600] },
  { flag: [1, 1, 1], y: [1, 4, 90, 160, 2500, 3600], gradient: [2, 4, 120, 160, 3000, 3600] },
])('rows with a flag are replaced, the others and their cotangents stay: $flag', async ({ flag, y, gradient }) => {
  const feeds = { x, weight, cotangent, flag: float32(flag) };
  for (const graph of [squares(), optimise(squares())]) {
    const found = await runGraph(graph, feeds);
    expect(found['y']).toEqual(float32(y, [3, 2]));
    expect(found['gradient']).toEqual(float32(gradient, [3, 2]));
  }
});
