import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { test } from 'vitest';

import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import * as op from '../../../models/onnx/ops.ts';
import { expectClose } from '../../support/close.ts';
import { runGraph } from '../../support/run-graph.ts';

const EXACT = { rtol: 0, atol: 0 };

test('onnxruntime runs a written graph with a symbolic batch', async () => {
  const b = new GraphBuilder('affine');
  const x = b.input('x', 'float32', ['B', 2]);
  const w = b.constant(float32([1, 2, 3, 4], [2, 2]));
  b.output('y', op.addScalar(b, op.matMul(b, x, w), 0.5));
  const graph = b.build();
  for (const batch of [1, 3]) {
    const x = float32(
      Array.from({ length: 2 * batch }, (_, at) => at),
      [batch, 2],
    );
    const { y } = await runGraph(graph, { x });
    // Row r is (2r, 2r + 1): times w it is (2r + 6r + 3, 4r + 8r + 4).
    const expected = Array.from({ length: batch }, (_, r) => [8 * r + 3.5, 12 * r + 4.5]).flat();
    expectClose(y, float32(expected, [batch, 2]), EXACT);
  }
});

test('bool tensors go in and come out as bytes', async () => {
  const b = new GraphBuilder('bool');
  const x = b.input('x', 'bool', [3]);
  b.output('y', op.not(b, x));
  const { y } = await runGraph(b.build(), { x: { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) } });
  expectClose(y, { dtype: 'bool', shape: [3], data: Uint8Array.of(0, 1, 0) }, EXACT);
});

test('weights are read at an unaligned byte range of another file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'referee-onnx-'));
  try {
    const file = join(folder, 'weights.bin');
    const values = Float32Array.of(5, 6, 7);
    await writeFile(file, Uint8Array.from([9, 9, 9, ...new Uint8Array(values.buffer), 9]));
    const b = new GraphBuilder('external');
    const w = b.weight('w', 'float32', [3], { file, offset: 3, length: 12 });
    b.output('y', op.gather(b, w, b.input('i', 'int64', ['N'])));
    const { y } = await runGraph(b.build(), { i: int64([2, 0]) });
    expectClose(y, float32([7, 5]), EXACT);
  } finally {
    await rm(folder, { recursive: true });
  }
});
