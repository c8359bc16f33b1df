/**
 * @file Processes that judge cases, each case within a time limit: a process that exceeds it is ended and replaced.
 */
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { Outcome } from './outcome.ts';
import { failed } from './outcome.ts';

const BODY = fileURLToPath(new URL('case-process.ts', import.meta.url));

export class CaseProcess {
  readonly #seconds: number;
  #child: ChildProcess | undefined;

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  judge(folder: string): Promise<Outcome> {
    const child = (this.#child ??= fork(BODY, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] }));
    return new Promise((resolve) => {
      const end = (outcome: Outcome): void => {
        clearTimeout(timer);
        child.removeAllListeners();
        resolve(outcome);
      };
      const lost = (why: string): void => {
        this.close();
        end(failed(why));
      };
      const timer = setTimeout(() => lost(`not done after ${this.#seconds} s`), this.#seconds * 1000);
      child.once('message', (outcome) => end(outcome as Outcome));
      child.once('exit', (code, signal) => lost(`the process ended (${signal ?? code})`));
      child.once('error', ({ message }) => lost(message));
      child.send(folder);
    });
  }

  close(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }
}
