/**
 * @file `referee/packs`: which models there are and what they are. Loads no models.
 */
export { manifestDigest, ManifestSchema, parseManifest } from './manifest.ts';
export type { Manifest } from './manifest.ts';
export { openPack, packNames, packsFolder, readManifest, verifyFiles } from './resolve.ts';
export type { Pack } from './resolve.ts';
