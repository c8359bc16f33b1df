/**
 * @file A pack: its files, their digests, its licence.
 */
import type { Pack } from '../../models/packs/resolve.ts';
import { openPack } from '../../models/packs/resolve.ts';
import type { Finding } from './finding.ts';
import { bytesText, failedFinding } from './finding.ts';

/** The pack where it can be used, and what is to be said of it. */
export async function checkPack(nameOrFolder: string): Promise<{ readonly pack?: Pack; readonly finding: Finding }> {
  try {
    const pack = await openPack(nameOrFolder);
    const { name, version, files, licence } = pack.manifest;
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const found = `${name} ${version}, ${files.length} files with the digests of its manifest, ${bytesText(bytes)}, licence ${licence.spdx}`;
    const facts = {
      name,
      version,
      digest: pack.digest,
      folder: pack.folder,
      files: files.length,
      bytes,
      licence: licence.spdx,
      licences: licence.parts,
    };
    return { pack, finding: { name: 'pack', state: 'ok', found, facts } };
  } catch (error) {
    return { finding: failedFinding('pack', error) };
  }
}
