/**
 * @file File systems that are really full or really read-only: small ones in memory, mounted for one test. Root alone may
 * mount; where that is refused, `canMount` is false and the tests that need it name it as the reason.
 */
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { execaSync } from 'execa';
import { onTestFinished } from 'vitest';

export const canMount = probe();

/** Mounts an empty file system of `size` (such as `64k`) on a new folder; unmounted after the test. */
export function mountedFolder(size: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'referee-mount-'));
  execaSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  onTestFinished(() => {
    execaSync('umount', [folder]);
    rmdirSync(folder);
  });
  return folder;
}

export function makeReadOnly(mounted: string): void {
  execaSync('mount', ['-o', 'remount,ro', mounted]);
}

function probe(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), 'referee-mount-'));
  const mounted = execaSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { reject: false });
  if (!mounted.failed) execaSync('umount', [folder]);
  rmdirSync(folder);
  return !mounted.failed;
}
