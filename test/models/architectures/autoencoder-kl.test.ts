import { expect, test } from 'vitest';

import {
  decode,
  downscaleFactor,
  parseAutoencoderKlConfig,
  unscaleLatent,
} from '../../../models/architectures/autoencoder-kl.ts';
import { Scope } from '../../../models/nn/scope.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import { float32ToFloat16 } from '../../../models/weights/dtype.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';
import { toNumbers } from '../../support/numbers.ts';
import { fixturePath, readFixture } from '../../support/fixtures.ts';
import { expectRecording, runRecording } from '../../support/reference.ts';
import { fixtureConfig, openWeights, weightsOf } from '../../support/weights.ts';

/** onnxruntime may add the same products in another order: some units in the last place of values near 3. */
const OTHER_ORDER = { rtol: 0, atol: 5e-6 };
const FOLDER = 'autoencoder-kl';
const WEIGHTS = `${FOLDER}/diffusion_pytorch_model.safetensors`;
const parse = (changes: Readonly<Record<string, unknown>> = {}) =>
  parseAutoencoderKlConfig({ ...fixtureConfig(FOLDER), ...changes }, 'config.json');
const weights = (): Map<string, Tensor> => new Map(readFixture(WEIGHTS).tensors);

test.each(['decode', 'encode'])('%s as recorded from PyTorch', async (name) => {
  await expectRecording({ folder: FOLDER, function: name, source: await openWeights(fixturePath(WEIGHTS)) });
});

test.each(['decode', 'encode'])('%s: older names of the attention layers mean the same', async (name) => {
  const names: Readonly<Record<string, string>> = {
    to_q: 'query',
    to_k: 'key',
    to_v: 'value',
    'to_out.0': 'proj_attn',
  };
  const renamed = [...weights()].map(([key, tensor]): [string, Tensor] => {
    const match = /^(.*attentions\.0)\.(to_q|to_k|to_v|to_out\.0)\.(.*)$/.exec(key);
    if (!match) return [key, tensor];
    // Some of them were 1x1 convolutions.
    const shape = tensor.shape.length === 2 ? [...tensor.shape, 1, 1] : tensor.shape;
    return [`${match[1]!}.${names[match[2]!]!}.${match[3]!}`, { ...tensor, shape }];
  });
  expect(renamed.filter(([key]) => key.includes('proj_attn'))).toHaveLength(4);
  await expectRecording({ folder: FOLDER, function: name, source: await weightsOf(new Map(renamed)) });
});

test.each([
  ['decode', 'post_quant_conv', 'use_post_quant_conv', 4],
  ['encode', 'quant_conv', 'use_quant_conv', 8],
] as const)('%s without %s is the one whose kernel is the identity', async (name, layer, field, channels) => {
  const changed = weights();
  const identity = Array.from({ length: channels ** 2 }, (_, i) => (i % (channels + 1) === 0 ? 1 : 0));
  changed.set(`${layer}.weight`, float32(identity, [channels, channels, 1, 1]));
  changed.set(`${layer}.bias`, float32(Array<number>(channels).fill(0)));
  const expected = await runRecording({ folder: FOLDER, function: name, source: await weightsOf(changed) });
  changed.delete(`${layer}.weight`);
  changed.delete(`${layer}.bias`);
  const source = await weightsOf(changed);
  const found = await runRecording({ folder: FOLDER, function: name, source, config: { [field]: false } });
  for (const [output, tensor] of Object.entries(expected)) {
    expectClose(found[output], tensor, OTHER_ORDER, output);
  }
});

test('without attention in the middle is the one whose attention adds nothing', async () => {
  const changed = weights();
  const attention = 'decoder.mid_block.attentions.0';
  for (const part of ['weight', 'bias']) {
    const { shape, data } = changed.get(`${attention}.to_out.0.${part}`)!;
    changed.set(`${attention}.to_out.0.${part}`, float32(new Float32Array(data.length), shape));
  }
  const expected = await runRecording({ folder: FOLDER, function: 'decode', source: await weightsOf(changed) });
  for (const key of [...changed.keys()]) if (key.startsWith(attention)) changed.delete(key);
  const found = await runRecording({
    folder: FOLDER,
    function: 'decode',
    source: await weightsOf(changed),
    config: { mid_block_add_attention: false },
  });
  expectClose(found['image'], expected['image']!, OTHER_ORDER);
});

test('weights in half precision are computed with in float32', async () => {
  const halves = [...weights()].map(([key, { shape, data }]): [string, Tensor] => [
    key,
    { dtype: 'float16', shape, data: float32ToFloat16(data as Float32Array) },
  ]);
  // Weights have 11 significant bits: each is off by up to 5e-4 of itself.
  const source = await weightsOf(new Map(halves));
  await expectRecording({ folder: FOLDER, function: 'decode', source }, { rtol: 0, atol: 2e-2 });
});

test('another size, and rows that do not depend on each other', async () => {
  const source = await openWeights(fixturePath(WEIGHTS));
  const config = parse();
  const latent = noise([3, 4, 5, 3]);
  const run = (x: Tensor): Promise<Tensor> =>
    evaluate({ latent: x }, (b, values) => decode(b, new Scope(source), config, values['latent']!));
  const all = await run(latent);
  expect(all.shape).toEqual([3, 3, 20, 12]);
  const second = await run(float32((latent.data as Float32Array).slice(60, 120), [1, 4, 5, 3]));
  const pixels = 3 * 20 * 12;
  expectClose(second, float32((all.data as Float32Array).slice(pixels, 2 * pixels), [1, 3, 20, 12]), {
    rtol: 0,
    atol: 2e-6,
  });
});

test('the scale and shift of latents come from the config', async () => {
  const latent = noise([2, 4, 2, 2]);
  const run = (changes: Readonly<Record<string, unknown>>): Promise<Tensor> =>
    evaluate({ latent }, (b, values) => unscaleLatent(b, parse(changes), values['latent']!));
  const expected = (formula: (value: number, channel: number) => number): Tensor =>
    float32(
      toNumbers(latent).map((value, i) => formula(value, Math.floor(i / 4) % 4)),
      latent.shape,
    );
  const near = { rtol: 1e-6, atol: 1e-6 };
  expectClose(
    await run({}),
    expected((z) => z / 0.18215),
    near,
  );
  expectClose(
    await run({ scaling_factor: 0.5, shift_factor: 0.1 }),
    expected((z) => z / 0.5 + 0.1),
    near,
  );
  const [means, deviations] = [
    [1, 2, 3, 4],
    [0.5, 1, 2, 4],
  ];
  expectClose(
    await run({ scaling_factor: 0.5, latents_mean: means, latents_std: deviations }),
    expected((z, c) => (z * deviations[c]!) / 0.5 + means[c]!),
    near,
  );
});

test('a config of defaults alone', () => {
  expect(downscaleFactor(parseAutoencoderKlConfig({}, 'config.json'))).toBe(1);
  expect(downscaleFactor(parse())).toBe(4);
});

test.each([
  [{ act_fn: 'snake' }, 'config.json: "act_fn" is "snake": expected "silu" or "swish"'],
  [{ block_out_channels: [8, 0, 16] }, 'config.json: "block_out_channels.1" is 0:'],
  [{ layers_per_block: 'two' }, 'config.json: "layers_per_block" is "two": expected'],
  [
    { down_block_types: ['DownEncoderBlock2D', 'AttnDownEncoderBlock2D', 'DownEncoderBlock2D'] },
    'config.json: "down_block_types.1" is "AttnDownEncoderBlock2D": expected "DownEncoderBlock2D"',
  ],
  [{ up_block_types: ['UpDecoderBlock2D'] }, 'config.json: "up_block_types" has 1 entries, block_out_channels has 3'],
  [{ latents_mean: [1] }, 'config.json: "latents_mean" has 1 entries, expected latent_channels, 4'],
])('refuses %j', (changes, message) => {
  expect(() => parse(changes)).toThrow(expect.objectContaining({ code: 'InvalidModel' }));
  expect(() => parse(changes)).toThrow(message);
});

test('a config that is no object is refused', () => {
  expect(() => parseAutoencoderKlConfig([1], 'config.json')).toThrow('config.json is [1]: expected object');
});

test('a checkpoint without a tensor says which', async () => {
  const changed = weights();
  changed.delete('decoder.up_blocks.2.resnets.0.conv_shortcut.weight');
  const source = await weightsOf(changed);
  const b = new GraphBuilder('g');
  const latent = b.input('latent', 'float32', ['B', 4, 6, 8]);
  expect(() => decode(b, new Scope(source), parse(), latent)).toThrow(
    'tensor "decoder.up_blocks.2.resnets.0.conv_shortcut.weight" is missing, expected shape [8,16,1,1]',
  );
});
