import { mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { float32 } from '../../../models/onnx/dtype.ts';
import { findWeights } from '../../../models/weights/checkpoint-folder.ts';
import { openSafetensors, writeSafetensors } from '../../../models/weights/safetensors.ts';
import { newFolder } from './files.ts';

const CLIP = fileURLToPath(new URL('../../fixtures/clip-text', import.meta.url));
const VAE = fileURLToPath(new URL('../../fixtures/autoencoder-kl', import.meta.url));

async function folderWith(files: Record<string, Uint8Array | object>): Promise<string> {
  const folder = await newFolder();
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), content instanceof Uint8Array ? content : JSON.stringify(content));
  }
  return folder;
}

const weights = (...names: string[]): Uint8Array =>
  writeSafetensors(Object.fromEntries(names.map((name, i) => [name, float32([i])])));

describe('the weights of a folder', () => {
  it.each([CLIP, VAE])('are found under the names of transformers and diffusers (%s)', async (folder) => {
    const found = await findWeights(folder);
    const { file: path } = [...found.values()][0]!;
    const file = await openSafetensors(path);
    expect([...found.keys()]).toEqual([...file.tensors.keys()]);
    for (const [name, { dtype, shape, offset, length }] of found) {
      expect({ name, dtype, shape, offset, length }).toEqual(file.tensors.get(name));
    }
    await file.close();
  });

  it('are put together from shards, and from the files named besides', async () => {
    const folder = await folderWith({
      'model-00001-of-00002.safetensors': weights('a', 'b'),
      'model-00002-of-00002.safetensors': weights('c'),
      'model.safetensors.index.json': {
        metadata: { total_size: 12 },
        weight_map: {
          a: 'model-00001-of-00002.safetensors',
          b: 'model-00001-of-00002.safetensors',
          c: 'model-00002-of-00002.safetensors',
        },
      },
      'lm_head.safetensors': weights('head'),
    });
    const found = await findWeights(folder, { extraFiles: ['lm_head.safetensors'] });
    const files = [...found].map(([name, { file }]) => [name, file]);
    const real = await realpath(folder);
    expect(files).toEqual([
      ['a', join(real, 'model-00001-of-00002.safetensors')],
      ['b', join(real, 'model-00001-of-00002.safetensors')],
      ['c', join(real, 'model-00002-of-00002.safetensors')],
      ['head', join(real, 'lm_head.safetensors')],
    ]);
  });

  it('are named by their real path, where a cache keeps links', async () => {
    const folder = await newFolder();
    await mkdir(join(folder, 'blobs'));
    await mkdir(join(folder, 'snapshot'));
    await writeFile(join(folder, 'blobs', '0123'), weights('a'));
    await symlink(join('..', 'blobs', '0123'), join(folder, 'snapshot', 'model.safetensors'));
    const found = await findWeights(join(folder, 'snapshot'));
    expect(found.get('a')!.file).toBe(await realpath(join(folder, 'blobs', '0123')));
  });
});

describe('a folder is refused, in one line, that', () => {
  const index = (map: unknown): Record<string, object> => ({ 'model.safetensors.index.json': { weight_map: map } });

  it.each<[string, Record<string, Uint8Array | object>, RegExp]>([
    ['holds no weights', {}, /: no weights found, expected model\.safetensors or [^\n]+$/],
    [
      'has an index that is no JSON',
      { 'model.safetensors.index.json': Uint8Array.of(0x7b) },
      /index\.json: not valid JSON$/,
    ],
    ['has an index without a map', { 'model.safetensors.index.json': {} }, /index\.json: weight_map: [^\n]+$/],
    ['has an index with an empty map', index({}), /index\.json: weight_map: is empty$/],
    ['has an index that names no file', index({ a: 3 }), /index\.json: weight_map\.a: [^\n]+$/],
    [
      'has an index that leaves the folder',
      index({ a: '../x.safetensors' }),
      /are said to be in "\.\.\/x\.safetensors"/,
    ],
    [
      'has an index with an absolute path',
      index({ a: '/etc/x.safetensors' }),
      /are said to be in "\/etc\/x\.safetensors"/,
    ],
    ['has an index with another kind of file', index({ a: 'x.bin' }), /are said to be in "x\.bin"/],
    ['lacks a shard', index({ a: 'x.safetensors' }), /x\.safetensors: no such file$/],
    [
      'has a shard without the tensor',
      { ...index({ a: 'x.safetensors' }), 'x.safetensors': weights('b') },
      /x\.safetensors: tensor "a" of model\.safetensors\.index\.json is missing$/,
    ],
    [
      'has a tensor in two files',
      { 'model.safetensors': weights('a'), 'extra.safetensors': weights('a') },
      /extra\.safetensors: tensor "a" is also in "model\.safetensors", expected in one file only$/,
    ],
  ])('%s', async (_, files, message) => {
    const folder = await folderWith(files);
    const extraFiles = 'extra.safetensors' in files ? ['extra.safetensors'] : [];
    const finding = findWeights(folder, { extraFiles });
    await expect(finding).rejects.toMatchObject({ code: 'InvalidWeights' });
    await expect(finding).rejects.toThrow(message);
  });
});
