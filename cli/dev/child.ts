/**
 * @file One child process of a development setup: started with its output in a log file, in a process group of its own (so
 * that Ctrl-C reaches the parent alone, which ends the children in order), and waited for until it answers.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { RefereeError } from '../../errors.ts';
import { oneLine } from '../render.ts';
import { signalGroup } from './identity.ts';
import type { Keeper } from './keeper.ts';

export type Role = 'temporal' | 's3' | 'worker';

export interface ProcessSpec {
  readonly role: Role;
  /** As people read it: `worker 2`. */
  readonly name: string;
  readonly command: string;
  readonly argv: readonly string[];
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** File that output is appended to. */
  readonly log: string;
  /** Whether it answers. Called until it does; may throw. */
  readonly isReady: () => Promise<boolean>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Child {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
}

const LOOK_MS = 100;
/** A worker loads models before it is ready, on a machine that may be busy. */
const READY_MS = 300_000;

/** Resolves as soon as the process runs. The keeper ends it when this process dies. */
export async function startChild(spec: ProcessSpec, keeper: Keeper): Promise<Child> {
  const log = await open(spec.log, 'a', 0o600);
  try {
    const child = spawn(spec.command, spec.argv, {
      stdio: ['ignore', log.fd, log.fd],
      env: { ...spec.env },
      detached: true,
    });
    await once(child, 'spawn').catch((cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new RefereeError('ProgramNotFound', `${spec.name} cannot be started: ${oneLine(reason)}`, { cause });
    });
    const exited = new Promise<Exit>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) {
        resolve({ code: child.exitCode, signal: child.signalCode });
      }
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    const pid = child.pid!;
    keeper.add(pid);
    void exited.then(() => keeper.remove(pid));
    return { pid, exited, kill: (signal) => signalGroup(pid, signal) };
  } finally {
    await log.close();
  }
}

/** True when it answers; false when it has ended before. */
export async function isUp({ isReady, name, log }: ProcessSpec, { exited }: Child): Promise<boolean> {
  const gone = exited.then(() => 'gone' as const);
  const deadline = performance.now() + READY_MS;
  while (performance.now() < deadline) {
    const isAnswering = isReady().catch(() => false);
    const found = await Promise.race([gone, isAnswering]);
    if (found !== false) return found === true;
    if ((await Promise.race([gone, sleep(LOOK_MS)])) === 'gone') return false;
  }
  throw new RefereeError('Internal', `${name} runs but does not answer; its log is ${oneLine(log)}`);
}

/** Asks it to end, and ends it when it has not after `graceMs`. */
export async function endChild(child: Child, graceMs: number): Promise<void> {
  child.kill('SIGTERM');
  const controller = new AbortController();
  const late = sleep(graceMs, 'late', { signal: controller.signal }).catch(() => 'ended');
  if ((await Promise.race([child.exited, late])) === 'late') child.kill('SIGKILL');
  controller.abort();
  await child.exited;
}

/** What a log says last, as one line for a message: an `error:` line and an error document say more than what is behind. */
export async function logEnd(log: string): Promise<string> {
  const file = await open(log, 'r');
  try {
    const { size } = await file.stat();
    const bytes = Math.min(size, 4096);
    const { buffer } = await file.read({ buffer: Buffer.alloc(bytes), position: size - bytes });
    const lines = buffer.toString('utf8').trimEnd().split('\n');
    const line = lines.findLast((each) => each.startsWith('error: ')) ?? lines.at(-1) ?? '';
    return oneLine(/"error":\{"code":"\w+","message":"((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? line).slice(0, 200);
  } finally {
    await file.close();
  }
}
