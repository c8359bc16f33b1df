/**
 * @file From the name of a pack, or a folder, to its files: found, parsed and compared with the digests of its manifest.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve as resolvePath } from 'node:path';
import { fileURLToPath } from 'node:url';

import { RefereeError, quoted } from '../../errors.ts';
import type { Manifest } from './manifest.ts';
import { manifestDigest, parseManifest } from './manifest.ts';

/** A pack whose files are there and are what its manifest says. */
export interface Pack {
  readonly manifest: Manifest;
  /** Absolute, links resolved. */
  readonly folder: string;
  /** sha256 of the manifest, hexadecimal. */
  readonly digest: string;
  /** Absolute path of a part of the pack. */
  path(inner: string): string;
}

/** Folder of the packs that come with referee. */
export async function packsFolder(): Promise<string> {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const packs = join(folder, 'packs');
    if (folder !== dirname(fileURLToPath(import.meta.url)) && (await isFile(join(packs, 'shapes', 'manifest.json')))) return packs;
    if (folder === dirname(folder)) throw new RefereeError('InvalidPack', 'the packs that come with referee are not there: the installation is not whole');
  }
}

/** Names of the packs that come with referee. */
export async function packNames(): Promise<string[]> {
  const entries = await readdir(await packsFolder(), { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** Reads a pack's manifest alone: nothing else is opened. */
export async function readManifest(nameOrFolder: string): Promise<{ folder: string; manifest: Manifest }> {
  const isPath = /[/\\]|^\.+$/.test(nameOrFolder);
  const folder = isPath ? resolvePath(nameOrFolder) : join(await packsFolder(), nameOrFolder.replaceAll(/[^A-Za-z0-9-]/g, '_'));
  const file = join(folder, 'manifest.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const known = isPath ? 'a folder with a manifest.json' : `one of ${(await packNames()).join(', ')}, or a folder as ./name`;
    throw new RefereeError('PackNotFound', `pack: found ${quoted(nameOrFolder)}, expected ${known}`, { cause, details: { field: 'pack' } });
  }
  return { folder: await realpath(folder), manifest: parseManifest(text, file) };
}

/** Opens a pack by name or folder and verifies every file of it. */
export async function openPack(nameOrFolder: string): Promise<Pack> {
  const { folder, manifest } = await readManifest(nameOrFolder);
  await verifyFiles(folder, manifest);
  return { folder, manifest, digest: manifestDigest(manifest), path: (inner) => join(folder, ...inner.split('/')) };
}

/** Compares every file of a pack with the manifest; the first that differs is an error that names it. */
export async function verifyFiles(folder: string, manifest: Manifest): Promise<void> {
  for (const { path, bytes, sha256 } of manifest.files) {
    const file = join(folder, ...path.split('/'));
    const found = await stat(file).catch(() => undefined);
    if (!found) throw changed(manifest, file, 'no such file', `${bytes} bytes`);
    if (found.size !== bytes) throw changed(manifest, file, `${found.size} bytes`, `${bytes} bytes`);
    const digest = await fileDigest(file);
    if (digest !== sha256) throw changed(manifest, file, `sha256 ${digest.slice(0, 12)}...`, `${sha256.slice(0, 12)}...`);
  }
}

/** sha256 of a file, read in pieces. */
export async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}

function changed(manifest: Manifest, file: string, found: string, expected: string): RefereeError {
  return new RefereeError('InvalidPack', `${file}: found ${found}, expected ${expected} as in the manifest of pack ${manifest.name}`, {
    hint: 'the file changed after the pack was built: restore it, or build the pack anew',
    details: { file },
  });
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
