import { test } from 'vitest';

import { addNoise, normalise } from '../../../models/nn/pixel-values.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { augmentFixture, expectAsStated, gradientOf } from '../../support/augment.ts';
import { tensorOf } from '../../support/fixtures.ts';
import { runGraph } from '../../support/run-graph.ts';

test('noise agrees with torch', async () => {
  const fixture = augmentFixture('noise');
  const b = new GraphBuilder('noise');
  const x = b.input('x', 'float32', ['N', 3, 12, 15]);
  const g = b.input('g', 'float32', ['N', 3, 12, 15]);
  const noise = b.input('noise', 'float32', ['N', 3, 12, 15]);
  const output = addNoise(b, x, { factor: b.input('factor', 'float32', ['N']), noise });
  b.output('y', output);
  b.output('gradient', gradientOf(b, { value: output, cotangent: g }, { wrt: x }));
  const result = await runGraph(b.build(), {
    x: tensorOf(fixture, 'input.image'),
    g: tensorOf(fixture, 'cotangent.image'),
    noise: tensorOf(fixture, 'input.noise'),
    factor: tensorOf(fixture, 'input.factor'),
  });
  expectAsStated('noise', 'output.image', result['y']);
  expectAsStated('noise', 'gradient.image', result['gradient']);
});

test('the normalisation agrees with torch', async () => {
  const fixture = augmentFixture('normalise');
  const b = new GraphBuilder('normalise');
  const x = b.input('x', 'float32', ['N', 3, 12, 15]);
  const g = b.input('g', 'float32', ['N', 3, 12, 15]);
  const output = normalise(b, x, {
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  });
  b.output('y', output);
  b.output('gradient', gradientOf(b, { value: output, cotangent: g }, { wrt: x }));
  const feeds = { x: tensorOf(fixture, 'input.image'), g: tensorOf(fixture, 'cotangent.image') };
  const result = await runGraph(b.build(), feeds);
  expectAsStated('normalise', 'output.image', result['y']);
  expectAsStated('normalise', 'gradient.image', result['gradient']);
});
