import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { identityOf, isAlive, killIfAlive } from '../../../cli/dev/identity.ts';
import { tryLock } from '../../../cli/dev/lock.ts';
import { temporaryFolder } from '../../support/folder.ts';

/** A process that does nothing until it is killed, in a group of its own. */
async function sleeper(): Promise<{ pid: number; killed: () => Promise<void> }> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { detached: true, stdio: 'ignore' });
  await once(child, 'spawn');
  const exited = once(child, 'exit');
  const killed = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(killed);
  return { pid: child.pid!, killed };
}

async function holdAs(folder: string, pid: number): Promise<{ pid: number; started: string }> {
  const holder = (await identityOf(pid))!;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${holder.pid}_${holder.started}_00000000`), '');
  return holder;
}

test('a lock that a living process holds is refused and names it; a killed one holds nothing', async () => {
  const folder = join(await temporaryFolder(), 'lock');
  const other = await sleeper();
  const holder = await holdAs(folder, other.pid);
  expect(await tryLock(folder)).toEqual(holder);
  await other.killed();
  const lock = await tryLock(folder);
  expect(lock).toHaveProperty('release');
  expect(await readdir(folder)).toHaveLength(1);
  if ('release' in lock) await lock.release();
  expect(await readdir(folder)).toEqual([]);
});

test('a pid that is used again is another process', async () => {
  const { pid } = await sleeper();
  const earlier = { pid, started: '00000000-1' };
  expect(await isAlive(earlier)).toBe(false);
  expect(await killIfAlive(earlier)).toBe(false);
  expect(await isAlive((await identityOf(pid))!)).toBe(true);
});
