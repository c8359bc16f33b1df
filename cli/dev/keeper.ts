/**
 * @file Ends children when their parent is gone, however it went: a shell of a few hundred kilobytes that is told the pids
 * on its standard input and kills what is on the last list when that input closes. The system closes it with the parent.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

import { RefereeError } from '../../errors.ts';

/** A line is the whole list, so that there is nothing to add up. Children lead groups of their own: -pid is the group. */
const SCRIPT = `trap '' INT TERM HUP
pids=
while IFS= read -r line; do pids=$line; done
for pid in $pids; do kill -s KILL -- "-$pid" 2>/dev/null; done`;

export class Keeper {
  readonly #shell: ChildProcess;
  readonly #pids = new Set<number>();

  constructor() {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    if (this.#shell.pid === undefined) throw new RefereeError('Internal', 'cannot start /bin/sh');
    // When it was killed, the next start in the same folder still finds leftovers by their recorded pids.
    this.#shell.stdin?.on('error', () => undefined);
    this.#shell.on('error', () => undefined);
    this.#shell.unref();
  }

  add(pid: number): void {
    this.#pids.add(pid);
    this.#tell();
  }

  remove(pid: number): void {
    this.#pids.delete(pid);
    this.#tell();
  }

  /** Lets go of all children, and ends. */
  [Symbol.dispose](): void {
    this.#pids.clear();
    this.#tell();
    this.#shell.stdin?.end();
  }

  #tell(): void {
    this.#shell.stdin?.write(`${[...this.#pids].join(' ')}\n`);
  }
}
