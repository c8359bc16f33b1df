/**
 * @file The folder that hostile models lie in: weights beside them, and ways out of it.
 */
import { mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes of `weights.bin`. */
export const WEIGHTS_BYTES = 64;

/** Fills the empty folder `at`; its path, links followed. */
export async function prepareFolder(at: string): Promise<string> {
  const folder = join(await realpath(at), 'models');
  await mkdir(join(folder, 'folder'), { recursive: true });
  await writeFile(join(folder, '..', 'weights.bin'), Buffer.alloc(4096));
  await writeFile(join(folder, 'weights.bin'), Buffer.alloc(WEIGHTS_BYTES, 1));
  await symlink(join(folder, '..', 'weights.bin'), join(folder, 'link.bin'));
  await symlink('/etc', join(folder, 'etc'));
  return folder;
}
