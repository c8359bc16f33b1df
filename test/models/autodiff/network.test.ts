/**
 * @file A whole network of somebody else's: its file as paddle2onnx wrote it, its gradient against PyTorch's autograd over
 * the same file in float64 (scripts/reference/onnx_in_torch.py).
 */
import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { grad } from '../../../models/autodiff/grad.ts';
import { missingRules } from '../../../models/autodiff/missing-rules.ts';
import { readModel } from '../../../models/onnx/protobuf.ts';
import { expectClose } from '../../support/close.ts';
import { fixturePath, readFixture, tensorOf, tensorsBelow } from '../../support/fixtures.ts';
import { runModel } from '../../support/run-graph.ts';

const model = readFileSync(fixturePath('networks/pp-ocr-direction.onnx'));
const reference = readFixture('networks/pp-ocr-direction.safetensors');
const OUTPUT = 'save_infer_model/scale_0.tmp_1';

test('PP-OCR: which way a line of text stands', async () => {
  const graph = readModel(model);
  expect(graph.nodes.length).toBeGreaterThan(200);
  expect(missingRules(graph)).toEqual([]);
  const feeds = { ...tensorsBelow(reference, 'input.'), [`cotangent.${OUTPUT}`]: tensorOf(reference, 'cotangent') };
  const results = await runModel(grad(model, { of: [OUTPUT], wrt: ['x'] }), feeds);
  // PyTorch's float32 is 2.6e-6 of the largest element away.
  expectClose(results[OUTPUT], tensorOf(reference, 'output'), { rtol: 0, atol: 1e-5 }, 'output');
  const gradient = tensorOf(reference, 'gradient');
  const largest = Math.max(...Array.from(gradient.data as Float32Array, Math.abs));
  expectClose(results['gradient.x'], gradient, { rtol: 0, atol: 2e-5 * largest }, 'gradient');
});
