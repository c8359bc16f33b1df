import { expect, test } from 'vitest';

import { grad } from '../../../models/autodiff/grad.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import * as op from '../../../models/onnx/ops.ts';
import { readModel, writeModel } from '../../../models/onnx/protobuf.ts';
import { runModel } from '../../support/run-graph.ts';

/** y = table[ids] * x, z = exp(x) */
function lookup(): Graph {
  const b = new GraphBuilder('lookup');
  const x = b.input('x', 'float32', ['N', 2]);
  const ids = b.input('ids', 'int64', ['N']);
  const table = b.namedConstant('table', float32([1, 2, 3, 4, 5, 6], [3, 2]));
  b.output('y', op.mul(b, b.node('Gather', [table, ids])[0]!, x));
  b.output('z', op.exp(b, x));
  return b.build();
}

test('bytes in, bytes out: a file with cotangents and gradients, by inputs and by weights', async () => {
  const bytes = grad(writeModel(lookup()), { of: ['y'], wrt: ['x', 'table'] });
  const graph = readModel(bytes);
  expect(graph.inputs.map(({ name }) => name)).toEqual(['x', 'ids', 'cotangent.y']);
  expect(graph.outputs.map(({ name }) => name)).toEqual(['y', 'z', 'gradient.x', 'gradient.table']);
  const results = await runModel(bytes, {
    x: float32([1, 1, 2, 3], [2, 2]),
    ids: int64([2, 2]),
    'cotangent.y': float32([1, 10, 1, 1], [2, 2]),
  });
  expect(results['gradient.x']).toEqual(float32([5, 60, 5, 6], [2, 2]));
  expect(results['gradient.table']).toEqual(float32([0, 0, 0, 0, 3, 13], [3, 2]));
});

test("bytes of Node's readFile may begin anywhere in a larger buffer", () => {
  const bytes = writeModel(lookup());
  for (let shift = 0; shift < 4; shift += 1) {
    const buffer = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(shift);
    expect(grad(buffer, { of: ['y'], wrt: ['x'] })).toEqual(grad(bytes, { of: ['y'], wrt: ['x'] }));
  }
});

test.each([
  [{ of: ['y'], wrt: ['ids'] }, 'input "ids" is int64: only real numbers have a gradient'],
  [{ of: ['y'], wrt: [] }, 'wrt: expected at least one name, found none'],
  [{ of: ['q'], wrt: ['x'] }, 'graph lookup: output "q" does not exist; there are y, z'],
])('%j is one line', (options, message) => {
  expect(() => grad(lookup(), options)).toThrow(message);
});
