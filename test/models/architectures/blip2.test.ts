import { expect, test } from 'vitest';

import { parseBlip2Config } from '../../../models/architectures/blip2-config.ts';
import {
  contrast,
  generationLoss,
  generationScores,
  matchingLogits,
  matchingLosses,
  visionTower,
} from '../../../models/architectures/blip2.ts';
import type { ImageAndText } from '../../../models/architectures/blip2.ts';
import { Scope } from '../../../models/nn/scope.ts';
import type { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import type { Value } from '../../../models/onnx/graph.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';
import { fixturePath, readFixture } from '../../support/fixtures.ts';
import { expectRecording, runRecording } from '../../support/reference.ts';
import { fixtureConfig, openWeights, weightsOf } from '../../support/weights.ts';

const MODEL = fixturePath('blip2-itm/model.safetensors');
const HEAD = fixturePath('blip2-itg/lm_head.safetensors');
const SAME = { rtol: 0, atol: 5e-6 };
const config = parseBlip2Config(fixtureConfig('blip2-itm'), 'config.json');
const weights = (): Map<string, Tensor> => new Map([...readFixture(MODEL).tensors, ...readFixture(HEAD).tensors]);

test.each([
  ['blip2-itm', 'itm'],
  ['blip2-itm', 'itc'],
  ['blip2-itm', 'loss-itm'],
  ['blip2-itg', 'scores-itg'],
  ['blip2-itg', 'loss-itg'],
])('%s: %s as recorded from PyTorch', async (folder, name) => {
  await expectRecording({ folder, function: name, source: await openWeights(MODEL, HEAD) });
});

test('the head for generation may have the names that BERT gives it', async () => {
  const names: Readonly<Record<string, string>> = {
    'lm_head.decoder.bias': 'cls.predictions.bias',
    'lm_head.decoder.weight': 'cls.predictions.decoder.weight',
  };
  const renamed = [...weights()].map(([key, tensor]): [string, Tensor] => [
    names[key] ?? key.replace(/^lm_head\./, 'cls.predictions.'),
    tensor,
  ]);
  const source = await weightsOf(new Map(renamed));
  await expectRecording({ folder: 'blip2-itg', function: 'scores-itg', source });
});

test('queries without a feed forward of their own use the one for text', async () => {
  const shared = weights();
  for (const key of [...shared.keys()]) {
    const match = /^(.*)\.(intermediate|output)_query\.(.*)$/.exec(key);
    if (match) shared.set(key, shared.get(`${match[1]!}.${match[2]!}.${match[3]!}`)!);
  }
  const recording = { folder: 'blip2-itm', function: 'itm' };
  const expected = await runRecording({ ...recording, source: await weightsOf(shared) });
  const without = new Map([...shared].filter(([key]) => !key.includes('_query.')));
  expect(without.size).toBeLessThan(shared.size);
  const found = await runRecording({ ...recording, source: await weightsOf(without) });
  expectClose(found['logits'], expected['logits']!, SAME);
});

test('projections of the vision tower without biases are those whose biases are zero', async () => {
  const zeroed = weights();
  for (const [key, tensor] of zeroed) {
    if (key.endsWith('.qkv.bias')) zeroed.set(key, { ...tensor, data: new Float32Array(tensor.data.length) });
  }
  const recording = { folder: 'blip2-itm', function: 'itm' };
  const expected = await runRecording({ ...recording, source: await weightsOf(zeroed) });
  const without = new Map([...zeroed].filter(([key]) => !key.endsWith('.qkv.bias')));
  const found = await runRecording({ ...recording, source: await weightsOf(without) });
  expectClose(found['logits'], expected['logits']!, SAME);
});

const ids = int64([1, 7, 9, 2, 0, 0], [1, 6]);
const mask = int64([1, 1, 1, 1, 0, 0], [1, 6]);

async function run(
  inputs: Readonly<Record<'pixels' | 'ids' | 'mask', Tensor>>,
  build: (b: GraphBuilder, scope: Scope, input: ImageAndText) => Value,
): Promise<Tensor> {
  const source = await openWeights(MODEL, HEAD);
  return evaluate(inputs, (b, values) => {
    const scope = new Scope(source);
    const image = visionTower(b, scope.child('vision_model'), config.vision_config, values['pixels']!);
    return build(b, scope, { image, ids: values['ids']!, mask: values['mask']! });
  });
}

test('padding changes nothing: neither its ids nor its length', async () => {
  const pixels = noise([1, 3, 28, 28]);
  const logits = (b: GraphBuilder, scope: Scope, input: ImageAndText): Value => matchingLogits(b, scope, config, input);
  const expected = await run({ pixels, ids, mask }, logits);
  const others = int64([1, 7, 9, 2, 33, 44], [1, 6]);
  expectClose(await run({ pixels, ids: others, mask }, logits), expected, SAME);
  const shorter = { ids: int64([1, 7, 9, 2], [1, 4]), mask: int64([1, 1, 1, 1], [1, 4]) };
  expectClose(await run({ pixels, ...shorter }, logits), expected, SAME);
});

test('generation: a score depends on the tokens up to its own', async () => {
  const pixels = noise([1, 3, 28, 28]);
  const scores = (b: GraphBuilder, scope: Scope, input: ImageAndText): Value =>
    generationScores(b, scope, config, input);
  const first = (await run({ pixels, ids, mask }, scores)).data as Float32Array;
  const changed = (await run({ pixels, ids: int64([1, 7, 50, 2, 0, 0], [1, 6]), mask }, scores)).data as Float32Array;
  const rows = (data: Float32Array, from: number, to: number): Tensor =>
    float32(data.slice(from * 64, to * 64), [to - from, 64]);
  expectClose(rows(changed, 0, 2), rows(first, 0, 2), SAME);
  expect(() => {
    expectClose(rows(changed, 2, 3), rows(first, 2, 3), SAME);
  }).toThrow('worst element');
});

test('contrast compares every image with every text, whatever their numbers', async () => {
  const source = await openWeights(MODEL);
  const pixels = noise([2, 3, 28, 28]);
  const texts = int64([1, 7, 2, 1, 9, 2, 1, 30, 2], [3, 3]);
  const cosines = (all: Tensor): Promise<Tensor> =>
    evaluate({ pixels, ids: all, mask: int64(Array<number>(all.data.length).fill(1), all.shape) }, (b, values) => {
      const scope = new Scope(source);
      const image = visionTower(b, scope.child('vision_model'), config.vision_config, values['pixels']!);
      return contrast(b, scope, config, { image, ids: values['ids']!, mask: values['mask']! }).logitsPerImage;
    });
  const together = await cosines(texts);
  expect(together.shape).toEqual([2, 3]);
  const last = await cosines(int64([1, 30, 2], [1, 3]));
  const column = [2, 5].map((at) => Number(together.data[at]!));
  expectClose(last, float32(column, [2, 1]), SAME);
});

test('losses of rows are means over their own tokens; the mean is over all tokens; a text of one token has none', async () => {
  const scores = noise([3, 4, 5]);
  const tokens = { ids: int64([0, 1, 2, 3, 4, 1, 0, 0, 2, 0, 0, 0], [3, 4]) };
  const keep = int64([1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0], [3, 4]);
  const lossOf = (row: number, at: number, target: number): number => {
    const values = Array.from({ length: 5 }, (_, k) => Number(scores.data[(row * 4 + at) * 5 + k]!));
    return Math.log(values.reduce((sum, v) => sum + Math.exp(v), 0)) - values[target]!;
  };
  const first = [lossOf(0, 0, 1), lossOf(0, 1, 2), lossOf(0, 2, 3)];
  const second = [lossOf(1, 0, 1)];
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const inputs = { scores, ids: tokens.ids, mask: keep };
  const build = (pick: 'rows' | 'mean') =>
    evaluate(
      inputs,
      (b, values) => generationLoss(b, values['scores']!, { ids: values['ids']!, mask: values['mask']! })[pick],
    );
  expectClose(await build('rows'), float32([sum(first) / 3, sum(second), 0]), SAME);
  expectClose(await build('mean'), float32([(sum(first) + sum(second)) / 4], []), SAME);
});

test('the loss of matching stays finite when a match is impossible', async () => {
  const logits = float32([0, 0, 200, -200], [2, 2]);
  const losses = await evaluate({ logits }, (b, values) => matchingLosses(b, values['logits']!));
  expectClose(losses, float32([Math.log(2), -Math.log(1e-8)]), { rtol: 1e-6, atol: 1e-6 });
});

test('published configs write only what differs from the defaults', () => {
  const parsed = parseBlip2Config({ vision_config: { model_type: 'x' }, qformer_config: {} }, 'config.json');
  expect(parsed.vision_config).toMatchObject({ hidden_size: 1408, num_hidden_layers: 39, image_size: 224 });
  expect(parsed.qformer_config).toMatchObject({ hidden_size: 768, cross_attention_frequency: 2 });
  expect(parsed.num_query_tokens).toBe(32);
});

test.each([
  [{ qformer_config: { hidden_act: 'x' } }, 'config.json: "qformer_config.hidden_act" is "x": expected'],
  [{ vision_config: { num_attention_heads: 5 } }, '"vision_config.num_attention_heads" must divide hidden_size, 1408'],
  [
    { qformer_config: { position_embedding_type: 'relative_key' } },
    '"qformer_config.position_embedding_type" is "relative_key": expected "absolute"',
  ],
])('refuses %j', (json, message) => {
  expect(() => parseBlip2Config(json, 'config.json')).toThrow(message);
});

test('images of another size are refused', async () => {
  const logits = (b: GraphBuilder, scope: Scope, input: ImageAndText): Value => matchingLogits(b, scope, config, input);
  await expect(run({ pixels: noise([1, 3, 14, 28]), ids, mask }, logits)).rejects.toThrow('expected 28 x 28');
});
