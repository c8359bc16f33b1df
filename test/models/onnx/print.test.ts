import { expect, test } from 'vitest';

import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import * as op from '../../../models/onnx/ops.ts';
import { printGraph } from '../../../models/onnx/print.ts';

test('prints inputs, weights by file, and a line per node below its scopes', () => {
  const b = new GraphBuilder('tiny');
  const x = b.input('x', 'float32', ['B', 4]);
  const y = b.scope('block', () => {
    const file = { file: '/models/a.safetensors', offset: 8 };
    const w = b.weight('block.weight', 'float32', [4, 600], { ...file, length: 9600 });
    const table = b.constant(float32(Array.from({ length: 10 }, () => 0.1)), 'table');
    const h = b.scope('linear', () => op.addScalar(b, op.matMul(b, x, w), 0.1));
    const g = b.scope('gelu', () => op.gelu(b, h, { approximate: 'tanh' }));
    return op.reshape(b, op.concat(b, [g, op.expandTo(b, table, b.int64([2, 10]))].slice(0, 1), 1), ['B', 2, 300]);
  });
  b.output('y', y);
  expect(printGraph(b.build())).toBe(`graph tiny, operator set 21, 6 nodes
input x: float32[B, 4]
weights: 1, 9.6 kB of /models/a.safetensors
constants: 4, 84 bytes
  block
    linear
      MatMul:0: float32[B, 600] = MatMul(x, block.weight)
      Add:0: float32[B, 600] = Add(MatMul:0, 0.1)
    gelu
      Gelu:0: float32[B, 600] = Gelu(/block/linear/Add:0) approximate=tanh
    Expand:0: float32[2, 10] = Expand(table, [2, 10])
    Reshape:0: float32[B, 2, 300] = Reshape(gelu/Gelu:0, [-1, 2, 300])
  y: float32[B, 2, 300] = Identity(/block/Reshape:0)
output y: float32[B, 2, 300]`);
});

test('unknown dimensions are printed as question marks, omitted inputs as dashes', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', [3]);
  b.output('y', op.cast(b, op.nonZero(b, op.clip(b, x, { max: 2 })), 'float32'));
  const text = printGraph(b.build());
  expect(text).toContain('Clip:0: float32[3] = Clip(x, -, 2)');
  expect(text).toContain('NonZero:0: int64[1, ?] = NonZero(Clip:0)');
});
