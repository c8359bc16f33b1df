/**
 * @file Which process a pid meant when it was written down: pids are used again, a pid with the time of its start is not.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque, of [0-9a-f-]: equal for the same process alone. */
  readonly started: string;
}

/** Undefined when there is no such process, or only the zombie of one. */
export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  const started = process.platform === 'linux' ? await startOnLinux(pid) : await startByPs(pid);
  return started === undefined ? undefined : { pid, started };
}

export async function isAlive({ pid, started }: ProcessIdentity): Promise<boolean> {
  return (await identityOf(pid))?.started === started;
}

/** Kills the process and its group, if it is still the one that was written down. Says whether it was. */
export async function killIfAlive(identity: ProcessIdentity): Promise<boolean> {
  if (!(await isAlive(identity))) return false;
  signalGroup(identity.pid, 'SIGKILL');
  return true;
}

/** To the process and what it has started; nothing happens when it is gone. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return; // the group holds the process itself
    } catch {
      continue; // no such group: the process alone, or nothing
    }
  }
}

/** Clock ticks since the boot (field 22 of stat, counted behind the name, which may hold anything), and which boot. */
async function startOnLinux(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    return `${boot.slice(0, 8)}-${fields[19] ?? ''}`;
  } catch {
    return undefined;
  }
}

async function startByPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', String(pid)]);
    const [state = 'Z', ...started] = stdout.trim().split(/\s+/);
    if (state.startsWith('Z')) return undefined;
    return createHash('sha256').update(started.join(' ')).digest('hex').slice(0, 16);
  } catch {
    return undefined;
  }
}
