/**
 * @file Writes the `files` of a pack's manifest: size and sha256 of every file in its folder.
 * Usage: tsx scripts/build-pack.ts packs/shapes
 */
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { ManifestSchema, manifestDigest } from '../models/packs/manifest.ts';
import { fileDigest } from '../models/packs/resolve.ts';

const folder = process.argv[2];
if (!folder) {
  process.stderr.write('usage: tsx scripts/build-pack.ts <folder>\n');
  process.exit(2);
}
const manifestFile = join(folder, 'manifest.json');
const draft = JSON.parse(await readFile(manifestFile, 'utf8')) as Record<string, unknown>;
const entries = await readdir(folder, { recursive: true, withFileTypes: true });
const paths = entries
  .filter((entry) => entry.isFile())
  .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
  .filter((path) => path !== 'manifest.json' && !path.endsWith('.md'))
  .sort();
const files = [];
for (const path of paths) {
  const file = join(folder, path);
  files.push({ path, bytes: (await stat(file)).size, sha256: await fileDigest(file) });
}
const manifest = ManifestSchema.parse({ ...draft, files });
await writeFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`);
process.stdout.write(`${manifestFile}: ${files.length} files, digest ${manifestDigest(manifest)}\n`);
