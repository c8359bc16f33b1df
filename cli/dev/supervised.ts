/**
 * @file A process that is there until it is told to stop: when it dies it is started again on the same data. One that dies
 * soon after its start is given more time before each further try.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { RefereeError } from '../../errors.ts';
import { oneLine } from '../render.ts';
import { endChild, isUp, logEnd, startChild } from './child.ts';
import type { Child, Exit, ProcessSpec, Role } from './child.ts';
import type { Keeper } from './keeper.ts';

export interface Listener {
  /** Told at each start, the first one too. */
  readonly onStart: (spec: ProcessSpec, pid: number) => void;
  /** A line for people: what has ended, how, and what follows. */
  readonly onEnd: (line: string) => void;
}

/** A process that lived as long had started well. */
const STEADY_MS = 10_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/** Milliseconds before the next start; `quickEnds` in a row have ended soon after their start, this one included. */
export function waitAfter(quickEnds: number): number {
  return quickEnds === 0 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (quickEnds - 1));
}

export class Supervised {
  readonly role: Role;
  /** As people read it: `worker 2`. */
  readonly name: string;
  readonly #specFor: () => Promise<ProcessSpec>;
  readonly #keeper: Keeper;
  readonly #listener: Listener;
  readonly #stopping = new AbortController();
  #child: Child | undefined;
  #living: Promise<void> = Promise.resolve();

  /** `specFor` is asked at every start: what a process needs anew, such as a port for its health, it can give anew. */
  constructor(
    { role, name }: Pick<ProcessSpec, 'role' | 'name'>,
    specFor: () => Promise<ProcessSpec>,
    keeper: Keeper,
    listener: Listener,
  ) {
    this.role = role;
    this.name = name;
    this.#specFor = specFor;
    this.#keeper = keeper;
    this.#listener = listener;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Resolves when it answers for the first time, or was told to stop before.
   * @throws ProcessEnded when it ends by itself before it has answered: trying again would not help
   */
  async start(): Promise<void> {
    for (;;) {
      const [spec, child] = await this.#spawn();
      if (await isUp(spec, child)) {
        this.#living = this.#keepUp(spec, child);
        return;
      }
      const exit = await child.exited;
      if (this.#stopping.signal.aborted) return;
      const line = await endOf(spec, child, exit);
      if (exit.signal === null) {
        throw new RefereeError('ProcessEnded', line, { hint: `its log is ${oneLine(spec.log)}` });
      }
      this.#listener.onEnd(`${line}: starting it again`);
    }
  }

  /** Asks it to end and waits; it is killed after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    if (this.#child !== undefined) await endChild(this.#child, graceMs);
    await this.#living;
  }

  async #spawn(): Promise<[ProcessSpec, Child]> {
    const spec = await this.#specFor();
    const child = await startChild(spec, this.#keeper);
    this.#child = child;
    this.#listener.onStart(spec, child.pid);
    // Told to stop between the last end and this start.
    if (this.#stopping.signal.aborted) child.kill('SIGKILL');
    return [spec, child];
  }

  async #keepUp(firstSpec: ProcessSpec, firstChild: Child): Promise<void> {
    const { signal } = this.#stopping;
    const isStopping = (): boolean => signal.aborted;
    let [spec, child] = [firstSpec, firstChild];
    for (let quickEnds = 0; ;) {
      const begun = performance.now();
      const exit = await child.exited;
      if (isStopping()) return;
      quickEnds = performance.now() - begun < STEADY_MS ? quickEnds + 1 : 0;
      const wait = waitAfter(quickEnds);
      const again = wait === 0 ? 'at once' : `in ${wait / 1000} s`;
      this.#listener.onEnd(`${await endOf(spec, child, exit)}: starting it again ${again}`);
      await sleep(wait, undefined, { signal }).catch(() => undefined);
      if (isStopping()) return;
      [spec, child] = await this.#spawn();
    }
  }
}

async function endOf(spec: ProcessSpec, { pid }: Child, { code, signal }: Exit): Promise<string> {
  const of = `${spec.name} (pid ${pid})`;
  if (signal !== null) return `${of} was ended by ${signal}`;
  const said = await logEnd(spec.log);
  return `${of} has ended with code ${String(code)}${said === '' ? '' : ` (${said})`}`;
}
