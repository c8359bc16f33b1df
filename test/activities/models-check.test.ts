import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { checkFolder } from '../../activities/models-check.ts';
import type { CheckOptions, CheckReport } from '../../activities/models-check.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { writeSafetensors } from '../../models/weights/safetensors.ts';
import { fixturePath, readFixture } from '../support/fixtures.ts';
import { temporaryFolder } from '../support/folder.ts';

const CLIP = 'clip-text';
const RECORDING = 'reference-encode.safetensors';

const check = (folder: string, options: CheckOptions = {}): Promise<CheckReport> =>
  checkFolder(folder, { device: { provider: 'cpu', threads: 1 }, ...options });

/** A copy of a fixture that a test may spoil. */
async function copyOf(name: string): Promise<string> {
  const folder = join(await temporaryFolder(), name);
  await cp(fixturePath(name), folder, { recursive: true });
  return folder;
}

interface Changes {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly tensors?: (tensors: Map<string, Tensor>) => void;
}

async function rewriteRecording(folder: string, { metadata = {}, tensors: change }: Changes): Promise<void> {
  const path = join(folder, RECORDING);
  const fixture = readFixture(path);
  const tensors = new Map(fixture.tensors);
  change?.(tensors);
  await writeFile(path, writeSafetensors(tensors, { ...fixture.metadata, ...metadata }));
}

const namesOf = (report: CheckReport): string[] => report.rows.map((row) => `${row.function} ${row.tensor}`);

test.each([
  ['autoencoder-kl', 'AutoencoderKL', 5],
  ['unet-sd15', 'UNet2DConditionModel', 3],
  ['unet-sd15-shallow', 'UNet2DConditionModel', 3],
  ['unet-sd21', 'UNet2DConditionModel', 3],
  ['unet-sdxl', 'UNet2DConditionModel', 4],
  ['clip-text', 'CLIPTextModel', 3],
  ['clip-text-projection', 'CLIPTextModelWithProjection', 3],
  ['blip2-itm', 'Blip2ForImageTextRetrieval', 8],
  ['blip2-itg', 'Blip2ForImageTextRetrieval', 6],
])('%s: outputs and gradients agree with PyTorch', async (name, model, rows) => {
  const report = await check(fixturePath(name));
  expect(report.rows.filter((row) => !row.ok)).toEqual([]);
  expect(report).toMatchObject({ ok: true, model, provider: 'cpu' });
  expect(report.rows).toHaveLength(rows);
});

test('reports every recorded tensor with its errors', async () => {
  const report = await check(fixturePath('autoencoder-kl'));
  expect(namesOf(report)).toEqual([
    'decode output.image',
    'decode gradient.latent',
    'encode output.logvar',
    'encode output.mean',
    'encode gradient.image',
  ]);
  for (const { maxAbs, maxRel, tolerance } of report.rows) {
    expect(maxAbs).toBeGreaterThan(0);
    expect(maxAbs).toBeLessThan(tolerance);
    expect(maxRel).toBeLessThan(2e-6);
  }
});

test('weights of a neighbour with the same config are found', async () => {
  const report = await check(fixturePath('blip2-itg'));
  expect(report.weights).toBe(fixturePath('blip2-itm/model.safetensors'));
});

test('a tolerance that float32 cannot meet is not met', async () => {
  const report = await check(fixturePath(CLIP), { rtol: 0, atol: 0 });
  expect(report.ok).toBe(false);
  expect(report.rows.some((row) => !row.ok && row.tolerance === 0)).toBe(true);
});

test('a recorded number that is off by 1e-4 of the largest is found, and only there', async () => {
  const folder = await copyOf(CLIP);
  await rewriteRecording(folder, {
    tensors: (tensors) => {
      const tensor = tensors.get('output.penultimate')!;
      const data = (tensor.data as Float32Array).slice();
      data[17] = data[17]! + 1e-4 * Math.max(...data.map(Math.abs));
      tensors.set('output.penultimate', { ...tensor, data });
    },
  });
  const report = await check(folder);
  expect(report.rows.filter((row) => !row.ok).map((row) => row.tensor)).toEqual(['output.penultimate']);
});

test('a recorded NaN is a difference', async () => {
  const folder = await copyOf(CLIP);
  await rewriteRecording(folder, {
    tensors: (tensors) => {
      const tensor = tensors.get('output.pooler_output')!;
      tensors.set('output.pooler_output', { ...tensor, data: (tensor.data as Float32Array).slice().fill(NaN, 0, 1) });
    },
  });
  const row = (await check(folder)).rows.find(({ tensor }) => tensor === 'output.pooler_output');
  expect(row).toMatchObject({ ok: false, maxAbs: Infinity });
});

test('a config that says something else than the recording gives other numbers', async () => {
  const folder = await copyOf(CLIP);
  const config = await readFile(join(folder, 'config.json'), 'utf8');
  await writeFile(join(folder, 'config.json'), config.replace('"quick_gelu"', '"gelu"'));
  expect((await check(folder)).ok).toBe(false);
});

test('without metadata the class comes from the config and the function from the name of the file', async () => {
  const folder = await copyOf(CLIP);
  const path = join(folder, RECORDING);
  await writeFile(path, writeSafetensors(readFixture(path).tensors));
  expect(await check(folder)).toMatchObject({ ok: true, model: 'CLIPTextModel' });
});

test('weights may be another file, another folder, or parts with an index', async () => {
  const folder = await copyOf(CLIP);
  const parts = join(folder, 'parts');
  await mkdir(parts);
  const tensors = [...readFixture(join(folder, 'model.safetensors')).tensors];
  const [first, second] = [new Map(tensors.slice(0, 20)), new Map(tensors.slice(20))];
  await writeFile(join(parts, 'model-1.safetensors'), writeSafetensors(first));
  await writeFile(join(parts, 'model-2.safetensors'), writeSafetensors(second));
  const entries = [
    ...[...first.keys()].map((key) => [key, 'model-1.safetensors']),
    ...[...second.keys()].map((key) => [key, 'model-2.safetensors']),
  ];
  const index = { weight_map: Object.fromEntries(entries) as unknown };
  await writeFile(join(parts, 'model.safetensors.index.json'), JSON.stringify(index));
  await rm(join(folder, 'model.safetensors'));
  await expect(check(folder)).rejects.toThrow('no weights here nor in a neighbouring folder');
  expect((await check(folder, { weights: parts })).ok).toBe(true);
  expect((await check(folder, { weights: fixturePath(`${CLIP}/model.safetensors`) })).ok).toBe(true);
});

const SPOILED: readonly [string, string, (folder: string) => Promise<unknown>, string][] = [
  [
    'a config that is cut short',
    'InvalidInput',
    (f) => writeFile(join(f, 'config.json'), '{"a": '),
    'config.json: not JSON',
  ],
  ['no config', 'InvalidInput', (f) => rm(join(f, 'config.json')), 'config.json: no such file'],
  ['no recordings', 'InvalidInput', (f) => rm(join(f, RECORDING)), 'no recordings here'],
  ['a recording cut short', 'InvalidWeights', (f) => writeFile(join(f, RECORDING), 'abc'), RECORDING],
  [
    'an unknown class',
    'InvalidModel',
    (f) => rewriteRecording(f, { metadata: { model: 'CLIPModel' } }),
    'model "CLIPModel" is not supported, expected one of AutoencoderKL',
  ],
  [
    'an unknown function',
    'InvalidInput',
    (f) => rewriteRecording(f, { metadata: { function: 'sing' } }),
    'function "sing" of CLIPTextModel is not known, expected one of encode',
  ],
  [
    'an unknown output',
    'InvalidInput',
    (f) => rewriteRecording(f, { tensors: (t) => t.set('output.mood', t.get('output.pooler_output')!) }),
    '"output.mood" is recorded, but encode has only last_hidden_state',
  ],
  [
    'a missing input',
    'InvalidInput',
    (f) => rewriteRecording(f, { tensors: (t) => t.delete('input.input_ids') }),
    'input "input_ids" is missing',
  ],
  [
    'an output of another shape',
    'InvalidInput',
    (f) => rewriteRecording(f, { tensors: (t) => t.set('output.pooler_output', t.get('output.penultimate')!) }),
    'output.pooler_output: shape is [2,24], recorded [2,12,24]',
  ],
  [
    'two files that may be the weights',
    'InvalidWeights',
    async (f) => {
      await cp(join(f, 'model.safetensors'), join(f, 'a.safetensors'));
      await cp(join(f, 'model.safetensors'), join(f, 'b.safetensors'));
      await rm(join(f, 'model.safetensors'));
    },
    'a.safetensors or b.safetensors? expected one file of weights',
  ],
];

test.each(SPOILED)('%s is an error in one line', async (_, code, spoil, message) => {
  const folder = await copyOf(CLIP);
  await spoil(folder);
  const error = await check(folder).catch((e: unknown) => e);
  expect(error).toMatchObject({ code });
  expect((error as Error).message).toContain(message);
  expect((error as Error).message).not.toContain('\n');
});

test('a folder that does not exist, a tolerance that is none', async () => {
  await expect(check('/no/such/folder')).rejects.toThrow('/no/such/folder: no such folder');
  await expect(check(fixturePath(CLIP), { rtol: NaN })).rejects.toMatchObject({ code: 'InvalidOption' });
  await expect(check(fixturePath(CLIP), { atol: -1 })).rejects.toThrow('atol is -1, expected a number of at least 0');
});
