import { expect, test } from 'vitest';

import { parseUnetConfig } from '../../../models/architectures/unet-2d-condition-config.ts';
import { predict } from '../../../models/architectures/unet-2d-condition.ts';
import { Scope } from '../../../models/nn/scope.ts';
import type { WeightSource } from '../../../models/nn/scope.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import type { Value } from '../../../models/onnx/graph.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';
import { toNumbers } from '../../support/numbers.ts';
import { fixturePath, readFixture } from '../../support/fixtures.ts';
import { expectRecording, runRecording } from '../../support/reference.ts';
import { fixtureConfig, openWeights, weightsOf } from '../../support/weights.ts';

const FOLDER = 'unet-sd15';
const WEIGHTS = 'diffusion_pytorch_model.safetensors';
/** Two ways to the same number, both in float32. */
const SAME = { rtol: 0, atol: 5e-6 };

const parse = (changes: Readonly<Record<string, unknown>> = {}) =>
  parseUnetConfig({ ...fixtureConfig(FOLDER), ...changes }, 'config.json');
const weights = (): Map<string, Tensor> => new Map(readFixture(`${FOLDER}/${WEIGHTS}`).tensors);
const zero = (tensors: Map<string, Tensor>, layer: string): void => {
  for (const part of ['weight', 'bias']) {
    const { shape, data } = tensors.get(`${layer}.${part}`)!;
    tensors.set(`${layer}.${part}`, float32(new Float32Array(data.length), shape));
  }
};
const drop = (tensors: Map<string, Tensor>, place: string): void => {
  for (const key of [...tensors.keys()]) if (key.startsWith(`${place}.`)) tensors.delete(key);
};
const sampleOf = (
  tensors: ReadonlyMap<string, Tensor>,
  config: Readonly<Record<string, unknown>> = {},
): Promise<Tensor> =>
  weightsOf(tensors)
    .then((source) => runRecording({ folder: FOLDER, function: 'predict', source, config }))
    .then((outputs) => outputs['sample']!);

test.each(['unet-sd15', 'unet-sd15-shallow', 'unet-sd21', 'unet-sdxl'])(
  '%s as recorded from PyTorch',
  async (folder) => {
    const source = await openWeights(fixturePath(`${folder}/${WEIGHTS}`));
    await expectRecording({ folder, function: 'predict', source });
  },
);

test.each([
  ['a list of heads', { attention_head_dim: [2, 2, 2] }],
  ['heads under their proper name', { attention_head_dim: 5, num_attention_heads: 2 }],
  ['a list of layers', { layers_per_block: [2, 2, 2] }],
  ['a list of transformer layers', { transformer_layers_per_block: [1, 1, 1] }],
  [
    'lists of transformer layers per layer',
    { transformer_layers_per_block: [[1, 1], 1, 1], reverse_transformer_layers_per_block: [1, [1, 1, 1], 1] },
  ],
  ['a list of context widths', { cross_attention_dim: [24, 24, 24] }],
  ['the width of the time embedding', { time_embedding_dim: 32 }],
])('%s may say the same', async (_, config) => {
  const source = await openWeights(fixturePath(`${FOLDER}/${WEIGHTS}`));
  await expectRecording({ folder: FOLDER, function: 'predict', source, config });
});

test('linear projections around a transformer are its 1x1 convolutions', async () => {
  const changed = [...weights()].map(([key, tensor]): [string, Tensor] =>
    /proj_(in|out)\.weight$/.test(key) ? [key, { ...tensor, shape: tensor.shape.slice(0, 2) }] : [key, tensor],
  );
  const source = await weightsOf(new Map(changed));
  await expectRecording({ folder: FOLDER, function: 'predict', source, config: { use_linear_projection: true } });
});

test('no middle block is one that adds nothing; one without attention is one whose attention adds nothing', async () => {
  const changed = weights();
  zero(changed, 'mid_block.attentions.0.proj_out');
  zero(changed, 'mid_block.resnets.1.conv2');
  const plain = await sampleOf(changed);
  const withoutAttention = new Map(changed);
  drop(withoutAttention, 'mid_block.attentions');
  drop(withoutAttention, 'mid_block.resnets.1');
  expectClose(await sampleOf(withoutAttention, { mid_block_type: 'UNetMidBlock2D' }), plain, SAME);
  zero(changed, 'mid_block.resnets.0.conv2');
  const nothing = await sampleOf(changed);
  drop(changed, 'mid_block');
  expectClose(await sampleOf(changed, { mid_block_type: null }), nothing, SAME);
});

test('blocks without attention are those whose attention adds nothing', async () => {
  const changed = weights();
  const layers = ['down_blocks.0.attentions.0', 'down_blocks.0.attentions.1'];
  layers.push(...[0, 1, 2].map((layer) => `up_blocks.2.attentions.${layer}`));
  for (const layer of layers) zero(changed, `${layer}.proj_out`);
  const expected = await sampleOf(changed);
  for (const layer of layers) drop(changed, layer);
  const types = {
    down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
    up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
  };
  expectClose(await sampleOf(changed, types), expected, SAME);
});

test('a second transformer layer that adds nothing changes nothing', async () => {
  const changed = weights();
  for (const [key, tensor] of weights()) {
    const match = /^(.*(?:down_blocks|up_blocks)\.1\..*transformer_blocks)\.0\.(.*)$/.exec(key);
    if (!match) continue;
    const adds = /^(attn[12]\.to_out\.0|ff\.net\.2)\./.test(match[2]!);
    const data = adds ? new Float32Array(tensor.data.length) : tensor.data;
    changed.set(`${match[1]!}.1.${match[2]!}`, { ...tensor, data });
  }
  expect(changed.size).toBeGreaterThan(weights().size);
  const source = await weightsOf(changed);
  const config = { transformer_layers_per_block: [1, 2, 1] };
  await expectRecording({ folder: FOLDER, function: 'predict', source, config });
});

async function run(
  source: WeightSource,
  inputs: Readonly<Record<'sample' | 'timestep' | 'context', Tensor>>,
  config: Readonly<Record<string, unknown>> = {},
): Promise<Tensor> {
  return evaluate(inputs, (b, values): Value =>
    predict(b, new Scope(source), parse(config), {
      sample: values['sample']!,
      timestep: values['timestep']!,
      encoderHiddenStates: values['context']!,
    }),
  );
}

test('centring maps the sample from 0..1 to -1..1', async () => {
  const source = await openWeights(fixturePath(`${FOLDER}/${WEIGHTS}`));
  const [sample, context, timestep] = [noise([2, 4, 8, 8]), noise([2, 7, 24], 2), int64([3, 900])];
  const centred = float32(
    toNumbers(sample).map((v) => 2 * v - 1),
    sample.shape,
  );
  const expected = await run(source, { sample: centred, timestep, context });
  expectClose(await run(source, { sample, timestep, context }, { center_input_sample: true }), expected, SAME);
});

test('one timestep for all rows, of any number type', async () => {
  const source = await openWeights(fixturePath(`${FOLDER}/${WEIGHTS}`));
  const [sample, context] = [noise([2, 4, 8, 8]), noise([2, 7, 24], 2)];
  const expected = await run(source, { sample, context, timestep: int64([501, 501]) });
  for (const timestep of [int64([501], []), float32([501], []), float32([501, 501])]) {
    expectClose(await run(source, { sample, context, timestep }), expected, SAME);
  }
});

test('sizes that cannot be halved come back as they were', async () => {
  const source = await openWeights(fixturePath(`${FOLDER}/${WEIGHTS}`));
  const [context, timestep] = [noise([2, 3, 24], 2), int64([3, 900])];
  const found = await run(source, { sample: noise([2, 4, 7, 10]), timestep, context });
  expect(found.shape).toEqual([2, 4, 7, 10]);
  expect(Array.from(found.data as Float32Array).every(Number.isFinite)).toBe(true);
});

test.each([
  [
    { resnet_time_scale_shift: 'scale_shift' },
    'config.json: "resnet_time_scale_shift" is "scale_shift": expected "default"',
  ],
  [{ class_embed_type: 'timestep' }, 'config.json: "class_embed_type" is "timestep": expected null'],
  [{ dual_cross_attention: true }, 'config.json: "dual_cross_attention" is true: expected false'],
  [{ time_embedding_type: 'fourier' }, 'config.json: "time_embedding_type" is "fourier": expected "positional"'],
  [
    { mid_block_type: 'UNetMidBlock2DSimpleCrossAttn' },
    'config.json: "mid_block_type" is "UNetMidBlock2DSimpleCrossAttn"',
  ],
  [
    { down_block_types: ['CrossAttnDownBlock2D', 'AttnDownBlock2D', 'DownBlock2D'] },
    'config.json: "down_block_types.1" is "AttnDownBlock2D": expected "CrossAttnDownBlock2D" or "DownBlock2D"',
  ],
  [{ layers_per_block: [2, 2] }, 'config.json: "layers_per_block" has 2 entries, block_out_channels has 3'],
  [{ attention_head_dim: 3 }, 'config.json: "attention_head_dim" gives 3 heads, which do not divide 8 channels'],
  [{ transformer_layers_per_block: [[1, 1], 1, 1] }, '"reverse_transformer_layers_per_block" is missing'],
  [{ addition_embed_type: 'image' }, 'config.json: "addition_embed_type" is "image": expected "text_time"'],
  [{ addition_embed_type: 'text_time' }, 'config.json: "addition_time_embed_dim" is missing'],
  [{ norm_num_groups: null }, 'config.json: "norm_num_groups" is null: expected'],
  [{ act_fn: 7 }, 'config.json: "act_fn" is 7: expected'],
])('refuses %j', (changes, message) => {
  expect(() => parse(changes)).toThrow(expect.objectContaining({ code: 'InvalidModel' }));
  expect(() => parse(changes)).toThrow(message);
});

test('a context of another width is refused', async () => {
  const source = await openWeights(fixturePath(`${FOLDER}/${WEIGHTS}`));
  const inputs = { sample: noise([2, 4, 8, 8]), timestep: int64([3, 900]), context: noise([2, 7, 23], 2) };
  await expect(run(source, inputs)).rejects.toThrow('the context is 23 wide, expected cross_attention_dim 24');
});
