/**
 * @file A model's folder on disk: its config and the files that hold its weights, under the names that the libraries'
 * `save_pretrained` gives them.
 */
import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { RefereeError, quoted } from '../errors.ts';
import type { WeightSource } from '../models/nn/scope.ts';
import type { WeightFile } from '../models/packs/weight-source.ts';
import { weightSource } from '../models/packs/weight-source.ts';
import { openSafetensors } from '../models/weights/safetensors.ts';

export const CONFIG_FILE = 'config.json';
const STEMS = ['diffusion_pytorch_model', 'model'];
/** A language-model head that is kept beside the weights of its model. */
const HEAD_FILE = 'lm_head.safetensors';
const REFERENCE = /^reference-.*\.safetensors$/;

/** A file of JSON as data. */
export async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    const found = reason === 'ENOENT' ? 'no such file' : `cannot be read: ${reason}`;
    throw new RefereeError('InvalidInput', `${path}: ${found}`, { cause: error, details: { file: path } });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const reason = (error as Error).message.replaceAll(/\s+/g, ' ');
    throw new RefereeError('InvalidInput', `${path}: not JSON: ${reason}`, { cause: error, details: { file: path } });
  }
}

/** Names in a folder, sorted. */
export async function listFolder(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    const found =
      reason === 'ENOENT' ? 'no such folder' : reason === 'ENOTDIR' ? 'not a folder' : `cannot be read: ${reason}`;
    throw new RefereeError('InvalidInput', `${folder}: ${found}`, { cause: error, details: { file: folder } });
  }
}

/** Files with recorded inputs and outputs. */
export async function referenceFiles(folder: string): Promise<string[]> {
  return (await listFolder(folder)).filter((name) => REFERENCE.test(name)).map((name) => join(folder, name));
}

/**
 * The weights of the model in `folder`: `weights` if given (a file or another folder), else the folder's own, else those
 * of the first neighbour whose config says the same. A language-model head in `folder` is added.
 *
 * @throws RefereeError `InvalidWeights` where none are found, or it is not clear which
 */
export async function modelWeights(folder: string, weights?: string): Promise<WeightSource> {
  const paths = weights === undefined ? await ownOrNeighbours(folder) : await givenWeights(weights);
  const files: WeightFile[] = [];
  for (const path of paths) files.push(await headerOf(path));
  const head = (await listFolder(folder)).includes(HEAD_FILE) ? join(resolve(folder), HEAD_FILE) : undefined;
  if (head !== undefined && !paths.includes(head)) {
    const extra = await headerOf(head);
    const isKnown = [...extra.tensors.keys()].some((name) => files.some(({ tensors }) => tensors.has(name)));
    if (!isKnown) files.push(extra);
  }
  return weightSource(files, paths.length === 1 ? paths[0]! : dirname(paths[0]!));
}

async function headerOf(path: string): Promise<WeightFile> {
  await using file = await openSafetensors(path);
  return { path, tensors: file.tensors };
}

async function givenWeights(weights: string): Promise<string[]> {
  const path = resolve(weights);
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return [path];
  const found = await weightFiles(path);
  if (found.length > 0) return found;
  throw new RefereeError('InvalidWeights', `${weights}: no weights here, expected model.safetensors`);
}

async function ownOrNeighbours(folder: string): Promise<string[]> {
  const own = await weightFiles(folder);
  if (own.length > 0) return own;
  const config = await readJson(join(folder, CONFIG_FILE));
  const parent = dirname(resolve(folder));
  for (const name of await listFolder(parent)) {
    const neighbour = join(parent, name);
    if (name === basename(resolve(folder)) || !(await hasConfig(neighbour, config))) continue;
    const found = await weightFiles(neighbour);
    if (found.length > 0) return found;
  }
  throw new RefereeError(
    'InvalidWeights',
    `${folder}: no weights here nor in a neighbouring folder with the same ${CONFIG_FILE}, expected model.safetensors`,
    { hint: 'name them with --weights' },
  );
}

async function hasConfig(folder: string, config: unknown): Promise<boolean> {
  const found = await readJson(join(folder, CONFIG_FILE)).catch((error: unknown) => {
    if (error instanceof RefereeError) return undefined;
    throw error;
  });
  return found !== undefined && isDeepStrictEqual(found, config);
}

/** Absolute paths: the parts that an index lists, else the file under a known name, else the only other one. */
async function weightFiles(folder: string): Promise<string[]> {
  const names = await listFolder(folder);
  const root = resolve(folder);
  for (const stem of STEMS) {
    const index = `${stem}.safetensors.index.json`;
    if (names.includes(index)) return (await indexedParts(join(root, index))).map((name) => join(root, name));
    if (names.includes(`${stem}.safetensors`)) return [join(root, `${stem}.safetensors`)];
  }
  const others = names.filter((name) => name.endsWith('.safetensors') && !REFERENCE.test(name) && name !== HEAD_FILE);
  if (others.length > 1) {
    throw new RefereeError('InvalidWeights', `${folder}: ${others.join(' or ')}? expected one file of weights`, {
      hint: 'name it with --weights',
    });
  }
  return others.map((name) => join(root, name));
}

/** File names in the index of a checkpoint in parts. */
async function indexedParts(path: string): Promise<string[]> {
  const index = await readJson(path);
  const map = typeof index === 'object' && index !== null && 'weight_map' in index ? index.weight_map : undefined;
  const names = typeof map === 'object' && map !== null ? [...new Set(Object.values(map) as unknown[])] : [];
  if (names.length === 0) throw new RefereeError('InvalidWeights', `${path}: "weight_map" names no files`);
  return names.map((name) => {
    if (typeof name === 'string' && name === basename(name) && name.endsWith('.safetensors')) return name;
    throw new RefereeError(
      'InvalidWeights',
      `${path}: ${quoted(name)} is not the name of a safetensors file beside it`,
    );
  });
}
