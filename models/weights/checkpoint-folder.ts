/**
 * @file Where the weights of a Hugging Face model folder lie: one file, or shards with an index. Only headers are read;
 * the result says for every tensor which bytes of which file hold it.
 */
import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { z } from 'zod';

import { RefereeError, quoted } from '../../errors.ts';
import type { DType } from '../onnx/dtype.ts';
import { openSafetensors } from './safetensors.ts';

export interface WeightLocation {
  /** Absolute, links resolved: what onnxruntime accepts as a place of external data. */
  readonly file: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Of the first byte, counted from the start of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** What transformers and diffusers call the file; sharded, `.index.json` is added. The first that exists is taken. */
const FILE_NAMES = ['model.safetensors', 'diffusion_pytorch_model.safetensors'] as const;

/** An index of real models has some hundred kilobytes. */
const MAX_INDEX_BYTES = 100_000_000;

const shardIndex = z.object({
  metadata: z.record(z.string(), z.unknown()).optional(),
  weight_map: z
    .record(z.string(), z.string())
    .describe('tensor name -> file in the same folder')
    .refine((map) => Object.keys(map).length > 0, 'is empty'),
});

/**
 * Every tensor of a model folder by its name.
 *
 * @param extraFiles more safetensors files of the folder, such as a head that is stored apart
 * @throws RefereeError `InvalidWeights` when the folder holds no weights that can be read, a shard lacks a tensor that the
 * index promises, or two files hold a tensor of the same name
 */
export async function findWeights(
  folder: string,
  { extraFiles = [] }: { extraFiles?: readonly string[] } = {},
): Promise<Map<string, WeightLocation>> {
  const weights = await findMainWeights(folder);
  for (const file of extraFiles) {
    for (const [name, location] of await fileWeights(folder, file)) {
      const other = weights.get(name);
      if (other !== undefined) {
        const found = `tensor ${quoted(name)} is also in ${quoted(basename(other.file))}`;
        throw invalid(`${join(folder, file)}: ${found}, expected in one file only`);
      }
      weights.set(name, location);
    }
  }
  return weights;
}

async function findMainWeights(folder: string): Promise<Map<string, WeightLocation>> {
  for (const name of FILE_NAMES) {
    if (await isFile(join(folder, name))) return fileWeights(folder, name);
    if (await isFile(join(folder, `${name}.index.json`))) return shardedWeights(folder, `${name}.index.json`);
  }
  const expected = FILE_NAMES.map((name) => `${name} or ${name}.index.json`).join(', ');
  throw invalid(`${folder}: no weights found, expected ${expected}`);
}

async function shardedWeights(folder: string, indexName: string): Promise<Map<string, WeightLocation>> {
  const path = join(folder, indexName);
  const { weight_map: weightMap } = await readIndex(path);
  const shards = new Map<string, Map<string, WeightLocation>>();
  for (const file of new Set(Object.values(weightMap))) shards.set(file, await fileWeights(folder, file));
  const weights = new Map<string, WeightLocation>();
  for (const [name, file] of Object.entries(weightMap)) {
    const location = shards.get(file)?.get(name);
    if (location === undefined)
      throw invalid(`${join(folder, file)}: tensor ${quoted(name)} of ${indexName} is missing`);
    weights.set(name, location);
  }
  return weights;
}

async function readIndex(path: string): Promise<z.infer<typeof shardIndex>> {
  const { size } = await stat(path);
  if (size > MAX_INDEX_BYTES) throw invalid(`${path}: ${size} bytes, expected at most ${MAX_INDEX_BYTES}`);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new RefereeError('InvalidWeights', `${path}: not valid JSON`, { cause, details: { file: path } });
  }
  const parsed = shardIndex.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(`${path}: ${issue?.path.join('.') || 'index'}: ${issue?.message ?? 'invalid'}`);
  }
  return parsed.data;
}

async function fileWeights(folder: string, name: string): Promise<Map<string, WeightLocation>> {
  // An index is a stranger's data: it names files of its own folder, never paths.
  if (name !== basename(name) || name.includes('\\') || !name.endsWith('.safetensors')) {
    throw invalid(`${folder}: weights are said to be in ${quoted(name)}, expected the name of a .safetensors file`);
  }
  const opened = await openSafetensors(join(folder, name));
  try {
    const file = await realpath(opened.path);
    const entries = [...opened.tensors.values()];
    return new Map(
      entries.map(({ name: key, dtype, shape, offset, length }) => [key, { file, dtype, shape, offset, length }]),
    );
  } finally {
    await opened.close();
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function invalid(message: string): RefereeError {
  return new RefereeError('InvalidWeights', message);
}
