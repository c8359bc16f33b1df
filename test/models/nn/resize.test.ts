import { expect, test } from 'vitest';

import { nearest } from '../../../models/nn/resize.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';

test.each([
  { height: 6, width: 8 },
  { height: 5, width: 7 },
  { height: 3, width: 4 },
])('repeats pixels to $height x $width', async ({ height, width }) => {
  const x = noise([2, 3, 3, 4]);
  const y = await evaluate({ x }, (b, values) => nearest(b, values['x']!, { height, width }));
  const expected: number[] = [];
  for (let plane = 0; plane < 6; plane += 1)
    for (let row = 0; row < height; row += 1)
      for (let column = 0; column < width; column += 1) {
        const from = (plane * 3 + Math.floor((row * 3) / height)) * 4 + Math.floor((column * 4) / width);
        expected.push(Number(x.data[from]!));
      }
  expectClose(y, float32(expected, [2, 3, height, width]), { rtol: 0, atol: 0 });
});

test('whole factors are constants, whatever the number of images', () => {
  const b = new GraphBuilder('twice');
  b.output('y', nearest(b, b.input('x', 'float32', ['B', 3, 4, 5]), { height: 8, width: 10 }));
  const graph = b.build();
  expect(graph.nodes.map((node) => node.op)).toEqual(['Resize', 'Identity']);
  expect(graph.outputs[0]?.shape).toEqual(['B', 3, 8, 10]);
});
