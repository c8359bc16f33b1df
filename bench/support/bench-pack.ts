/**
 * @file The packs that benchmarks know: those that come with referee, folders, and `mid`, which is made with random weights
 * in a cache folder when it is first asked for and takes 1.6 GB there.
 */
import { access, cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

import { parseManifest } from '../../models/packs/manifest.ts';
import { fileDigest, openPack, packsFolder, type Pack } from '../../models/packs/resolve.ts';
import { writeSafetensors } from '../../models/weights/safetensors.ts';
import { MID_CONFIGS, MID_MANIFEST, MID_PREPROCESSOR, MID_SCHEDULER, MID_VERSION } from './mid-configs.ts';
import { decoderShapes, refereeShapes, textShapes, unetShapes } from './mid-shapes.ts';
import { randomWeights } from './random-weights.ts';

/** @param name of a pack, `mid`, or a folder as ./name */
export async function openBenchPack(name: string): Promise<Pack> {
  return openPack(name === 'mid' ? await midPack() : name);
}

/** Folder of the mid-size pack. Whole or absent: it gets its name last. */
async function midPack(): Promise<string> {
  const folder = join(homedir(), '.cache', 'referee-bench', 'packs', `mid-${MID_VERSION}`);
  const isThere = await access(join(folder, 'manifest.json')).then(
    () => true,
    () => false,
  );
  if (isThere) return folder;
  process.stderr.write(`making random weights in ${folder}\n`);
  const temporary = `${folder}.${process.pid}`;
  try {
    await writeMidPack(temporary);
    await rename(temporary, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return folder;
}

async function writeMidPack(folder: string): Promise<void> {
  const written: string[] = [];
  const write = async (path: string, contents: string | Uint8Array): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), contents);
    written.push(path);
  };
  const checkpoint = async (
    name: keyof typeof MID_CONFIGS,
    file: string,
    shapes: ReadonlyMap<string, readonly number[]>,
  ) => {
    await write(`${name}/config.json`, JSON.stringify(MID_CONFIGS[name], null, 1));
    await write(`${name}/${file}.safetensors`, writeSafetensors(randomWeights(shapes, name)));
  };
  await checkpoint('unet', 'diffusion_pytorch_model', unetShapes(MID_CONFIGS.unet));
  await checkpoint('vae', 'diffusion_pytorch_model', decoderShapes(MID_CONFIGS.vae));
  await checkpoint('text_encoder', 'model', textShapes(MID_CONFIGS.text_encoder));
  await checkpoint('referee', 'model', refereeShapes(MID_CONFIGS.referee));
  await write('referee/preprocessor_config.json', JSON.stringify(MID_PREPROCESSOR, null, 1));
  await write('scheduler/scheduler_config.json', JSON.stringify(MID_SCHEDULER, null, 1));
  // Its few words are enough for prompts; the tables that their numbers are looked up in have their usual length.
  const tokenizer = join(await packsFolder(), 'shapes', 'tokenizer');
  await cp(tokenizer, join(folder, 'tokenizer'), { recursive: true });
  written.push('tokenizer/tokenizer.json', 'tokenizer/tokenizer_config.json', 'tokenizer/vocab.txt');
  const files = await Promise.all(
    written.map(async (path) => {
      const { length: bytes } = await readFile(join(folder, path));
      return { path, bytes, sha256: await fileDigest(join(folder, path)) };
    }),
  );
  const manifest = JSON.stringify({ ...MID_MANIFEST, files }, null, 1);
  parseManifest(manifest, 'manifest.json');
  await writeFile(join(folder, 'manifest.json'), manifest);
}
