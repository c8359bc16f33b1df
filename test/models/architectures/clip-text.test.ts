import { expect, test } from 'vitest';

import { encodeText, parseClipTextConfig } from '../../../models/architectures/clip-text.ts';
import { Scope } from '../../../models/nn/scope.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { int64 } from '../../../models/onnx/dtype.ts';
import type { ClipTextOutput } from '../../../models/architectures/clip-text.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';
import { fixturePath, readFixture, tensorOf } from '../../support/fixtures.ts';
import { OUTPUTS, expectRecording } from '../../support/reference.ts';
import { fixtureConfig, openWeights, weightsOf } from '../../support/weights.ts';

const FOLDER = 'clip-text';
const WEIGHTS = `${FOLDER}/model.safetensors`;
const parse = (changes: Readonly<Record<string, unknown>> = {}) =>
  parseClipTextConfig({ ...fixtureConfig(FOLDER), ...changes }, 'config.json');
const weights = (): Map<string, Tensor> => new Map(readFixture(WEIGHTS).tensors);

async function run(
  ids: Tensor,
  tensors: ReadonlyMap<string, Tensor>,
  pick: (output: ClipTextOutput) => ClipTextOutput['lastHiddenState'],
  changes: Readonly<Record<string, unknown>> = {},
): Promise<Tensor> {
  const source = await weightsOf(tensors);
  return evaluate({ ids }, (b, values) =>
    pick(encodeText(b, new Scope(source), parse(changes), { ids: values['ids']! })),
  );
}

test('encodes as recorded from PyTorch', async () => {
  await expectRecording({ folder: FOLDER, function: 'encode', source: await openWeights(fixturePath(WEIGHTS)) });
});

test('names with the prefix of the older library mean the same', async () => {
  const renamed = [...weights()].map(([key, tensor]): [string, Tensor] => [`text_model.${key}`, tensor]);
  await expectRecording({ folder: FOLDER, function: 'encode', source: await weightsOf(new Map(renamed)) });
});

test('a shorter text is the beginning of a longer one: attention is causal', async () => {
  const fixture = readFixture(`${FOLDER}/reference-encode.safetensors`);
  const ids = Array.from(tensorOf(fixture, 'input.input_ids').data, Number).slice(0, 5);
  const found = await run(int64(ids, [1, 5]), weights(), (output) => output.lastHiddenState);
  const all = tensorOf(fixture, 'output.last_hidden_state').data as Float32Array;
  expectClose(found, { dtype: 'float32', shape: [1, 5, 24], data: all.slice(0, 5 * 24) }, OUTPUTS);
});

test('the end of a text is the first token of that id, or the largest id where the config has the old 2', async () => {
  const ids = int64([62, 9, 63, 5, 63, 7, 61, 7, 7, 7, 7, 7], [1, 12]);
  const states = await run(ids, weights(), (output) => output.lastHiddenState);
  const row = (at: number): Tensor => ({
    dtype: 'float32',
    shape: [1, 24],
    data: (states.data as Float32Array).slice(at * 24, (at + 1) * 24),
  });
  const exact = { rtol: 0, atol: 0 };
  expectClose(await run(ids, weights(), (output) => output.poolerOutput, { eos_token_id: 2 }), row(2), exact);
  expectClose(await run(ids, weights(), (output) => output.poolerOutput, { eos_token_id: 5 }), row(3), exact);
  // No such token: the first position, as the library has it.
  expectClose(await run(ids, weights(), (output) => output.poolerOutput, { eos_token_id: 40 }), row(0), exact);
});

test('a projection in the checkpoint is applied to the pooled state', async () => {
  const tensors = weights();
  const ids = int64([62, 9, 63], [1, 3]);
  const pooled = await run(ids, tensors, (output) => output.poolerOutput);
  const projection = noise([16, 24], 5);
  tensors.set('text_projection.weight', projection);
  const found = await run(ids, tensors, (output) => output.textEmbeds!);
  const expected = Array.from({ length: 16 }, (_, f) =>
    Array.from(pooled.data, Number).reduce((sum, v, i) => sum + v * Number(projection.data[f * 24 + i]!), 0),
  );
  expectClose(found, { dtype: 'float32', shape: [1, 16], data: Float32Array.from(expected) }, OUTPUTS);
});

test('layers without biases are the ones whose biases are zero', async () => {
  const zeroed = weights();
  const isBias = (key: string): boolean => /(q_proj|k_proj|v_proj|out_proj|fc1|fc2)\.bias$/.test(key);
  for (const [key, tensor] of zeroed)
    if (isBias(key)) zeroed.set(key, { ...tensor, data: new Float32Array(tensor.data.length) });
  const ids = int64([62, 9, 63], [1, 3]);
  const expected = await run(ids, zeroed, (output) => output.lastHiddenState);
  const without = new Map([...zeroed].filter(([key]) => !isBias(key)));
  expect(without.size).toBe(zeroed.size - 18);
  expectClose(await run(ids, without, (output) => output.lastHiddenState), expected, { rtol: 0, atol: 1e-6 });
});

test('padding that a mask marks is seen by nobody', async () => {
  const source = await openWeights(fixturePath(WEIGHTS));
  const states = (ids: Tensor, mask: Tensor): Promise<Tensor> =>
    evaluate({ ids, mask }, (b, values) => {
      const input = { ids: values['ids']!, mask: values['mask']! };
      return encodeText(b, new Scope(source), parse(), input).lastHiddenState;
    });
  const mask = int64([0, 1, 1], [1, 3]);
  const a = await states(int64([10, 9, 63], [1, 3]), mask);
  const b = await states(int64([20, 9, 63], [1, 3]), mask);
  const tail = ({ data }: Tensor): Float32Array => (data as Float32Array).slice(24);
  expect(tail(a)).toEqual(tail(b));
  expect((a.data as Float32Array).slice(0, 24)).not.toEqual((b.data as Float32Array).slice(0, 24));
});

test.each([
  [{ hidden_act: 'tanhshrink' }, 'config.json: "hidden_act" is "tanhshrink": expected'],
  [{ num_attention_heads: 5 }, 'config.json: "num_attention_heads" must divide hidden_size, 24'],
  [{ layer_norm_eps: -1 }, 'config.json: "layer_norm_eps" is -1:'],
])('refuses %j', (changes, message) => {
  expect(() => parse(changes)).toThrow(message);
});

test('a text longer than the positions is refused', async () => {
  const source = await openWeights(fixturePath(WEIGHTS));
  const b = new GraphBuilder('g');
  const ids = b.input('ids', 'int64', ['B', 13]);
  expect(() => encodeText(b, new Scope(source), parse(), { ids })).toThrow('text of 13 tokens, expected at most 12');
});
