/**
 * @file A lock between processes, held by living ones alone. Whoever wants it writes a name of its own into a folder and
 * looks for others afterwards: of two that come at the same time at least one sees the other and steps back. A name says
 * pid and start of its process, so that one left behind by a process that was killed counts for nothing.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { RefereeError } from '../../errors.ts';
import { identityOf, isAlive } from './identity.ts';
import type { ProcessIdentity } from './identity.ts';

/** Two that stepped back from each other try again this often before one of them is told that it is held. */
const ATTEMPTS = 5;
const STEP_BACK_MS = 100;

export interface Lock {
  release(): Promise<void>;
}

/** Takes the lock, or says who holds it. */
export async function tryLock(folder: string): Promise<Lock | ProcessIdentity> {
  const self = await identityOf(process.pid);
  if (self === undefined) throw new RefereeError('Internal', 'this process has no identity');
  // Two callers in one process exclude each other too.
  const name = `${self.pid}_${self.started}_${randomBytes(4).toString('hex')}`;
  const own = join(folder, name);
  await mkdir(folder, { recursive: true });
  for (let attempt = 1; ; attempt++) {
    await writeFile(own, '');
    const other = await otherHolder(folder, name);
    if (other === undefined) return { release: () => rm(own, { force: true }) };
    await rm(own, { force: true });
    if (attempt === ATTEMPTS) return other;
    await sleep(STEP_BACK_MS * (0.5 + Math.random()));
  }
}

/** Waits as long as others hold it. `onWait` is told once, by whom it is held. */
export async function waitForLock(folder: string, onWait: (holder: ProcessIdentity) => void): Promise<Lock> {
  for (let isFirst = true; ; isFirst = false) {
    const lock = await tryLock(folder);
    if ('release' in lock) return lock;
    if (isFirst) onWait(lock);
    await sleep(1000);
  }
}

async function otherHolder(folder: string, own: string): Promise<ProcessIdentity | undefined> {
  for (const name of await readdir(folder)) {
    const holder = parse(name);
    if (holder === undefined || name === own) continue;
    if (await isAlive(holder)) return holder;
    await rm(join(folder, name), { force: true });
  }
  return undefined;
}

function parse(name: string): ProcessIdentity | undefined {
  const match = /^(\d+)_([0-9a-f-]+)_[0-9a-f]{8}$/.exec(name);
  return match ? { pid: Number(match[1]), started: match[2]! } : undefined;
}
