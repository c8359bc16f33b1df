/**
 * @file A worker that is killed, stopped and started again. Its log has a file per life.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { startChild } from '../../../cli/dev/child.ts';
import type { Child, Exit } from '../../../cli/dev/child.ts';
import type { Keeper } from '../../../cli/dev/keeper.ts';
import type { Entry } from './ledger.ts';
import { LogTail } from './log-tail.ts';

export interface WorkerSettings {
  readonly index: number;
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For logs. */
  readonly folder: string;
  readonly keeper: Keeper;
}

interface Life {
  readonly name: string;
  readonly tail: LogTail;
  readonly child: Child;
}

/** A worker that ended although nobody had killed it. */
export interface OwnEnd {
  readonly life: string;
  readonly exit: Exit;
  readonly said: string;
}

const AGAIN_MS = 500;
const TYPES: ReadonlySet<string> = new Set<Entry['type']>(['start', 'step', 'checkpoint', 'done']);

export class ChaosWorker {
  readonly index: number;
  readonly ownEnds: OwnEnd[] = [];
  readonly #settings: WorkerSettings;
  readonly #lives: Life[] = [];
  #isStopped = false;
  #isEnding = false;
  #again: Promise<void> = Promise.resolve();

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    this.index = settings.index;
  }

  /** Of the present or the last process. */
  get life(): string {
    return this.#lives.at(-1)?.name ?? '';
  }

  /** Runs and is not stopped. */
  get isUp(): boolean {
    return (
      !this.#isStopped &&
      this.#lives
        .at(-1)
        ?.tail.read()
        .some(({ message }) => isReady(message)) === true
    );
  }

  async start(): Promise<void> {
    const { index, command, env, folder, keeper } = this.#settings;
    const name = `${index}.${this.#lives.length + 1}`;
    const log = join(folder, `worker-${name}.log`);
    const [program, ...argv] = command;
    const isReadyNow = (): Promise<boolean> => Promise.resolve(true);
    const spec = { role: 'worker', name: `worker ${name}`, command: program, argv, env, log } as const;
    const child = await startChild({ ...spec, isReady: isReadyNow }, keeper);
    const life = { name, child, tail: new LogTail(log) };
    this.#lives.push(life);
    void child.exited.then((exit) => this.#ended(life, exit));
  }

  /** Ends it, and starts it again after a while; resolves when the new process runs. */
  async kill(forMs: number): Promise<void> {
    await this.#again;
    const { child } = this.#lives.at(-1)!;
    this.#isStopped = true;
    child.kill('SIGKILL');
    await child.exited;
    await sleep(forMs);
    this.#isStopped = false;
    if (!this.#isEnding) await this.start();
  }

  async stop(forMs: number): Promise<void> {
    await this.#again;
    const { child } = this.#lives.at(-1)!;
    this.#isStopped = true;
    child.kill('SIGSTOP');
    await sleep(forMs);
    child.kill('SIGCONT');
    this.#isStopped = false;
  }

  /** For good. Resolves when nothing of it runs. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#isEnding = true;
    await this.#again;
    const last = this.#lives.at(-1);
    last?.child.kill('SIGCONT');
    last?.child.kill(signal);
    await last?.child.exited;
  }

  /** Of all its lives. */
  entries(): Entry[] {
    return this.#lives.flatMap(({ name, tail }) =>
      tail
        .read()
        .flatMap(({ time, message, item, step = 0 }) =>
          item !== undefined && TYPES.has(message)
            ? [{ time: Date.parse(time), life: name, item, type: message as Entry['type'], step }]
            : [],
        ),
    );
  }

  /** What it warned of, with how often, by code. */
  warnings(): Record<string, number> {
    const counts: Record<string, number> = {};
    const lines = this.#lives.flatMap(({ tail }) => tail.read());
    for (const { level, code, message } of lines) {
      if (level !== 'warn' && level !== 'error' && !message.startsWith('passed over')) continue;
      // Those of its server are many while that is away, and say nothing else.
      if (message.startsWith('gRPC call')) continue;
      const what = code ?? message.slice(0, 60);
      counts[what] = (counts[what] ?? 0) + 1;
    }
    return counts;
  }

  /** As a supervisor would: what has ended by itself is started again. */
  #ended(life: Life, exit: Exit): void {
    if (this.#isEnding || this.#isStopped || life !== this.#lives.at(-1)) return;
    const said = life.tail.read().at(-1)?.message ?? '';
    this.ownEnds.push({ life: life.name, exit, said });
    this.#again = sleep(AGAIN_MS).then(() => (this.#isEnding ? undefined : this.start()));
  }
}

function isReady(message: string): boolean {
  return message.startsWith('ready: takes work');
}
