/**
 * @file Processes under measurement: started from the sources, their memory and processor time as the system counts them
 * (Linux: /proc).
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Ticks of the processor clock per second that /proc counts in, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const LOOK_MS = 200;

const tsx = fileURLToPath(import.meta.resolve('tsx'));
export const REFEREE = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

export interface Usage {
  /** Largest resident size so far, bytes. */
  readonly peakBytes: number;
  /** Resident size now, bytes. */
  readonly bytes: number;
  /** Of all its threads, user and system. */
  readonly cpuSeconds: number;
}

/** Undefined for a process that is gone. */
export async function usageOf(pid: number): Promise<Usage | undefined> {
  try {
    const [status, stat] = await Promise.all([
      readFile(`/proc/${pid}/status`, 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ]);
    const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? NaN);
    // Fields after the name in parentheses, which may hold spaces: the 12th and 13th of them are user and system time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    return { peakBytes: kilobytes('VmHWM') * 1024, bytes: kilobytes('VmRSS') * 1024, cpuSeconds };
  } catch {
    return undefined;
  }
}

/** A process of ours, looked at while it lives. */
export class Measured {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly #begun = performance.now();
  #usage: Usage = { peakBytes: 0, bytes: 0, cpuSeconds: 0 };
  #seconds = 0;
  stdout = '';
  stderr = '';

  /** `script` and its arguments, by tsx. */
  constructor(argv: readonly string[], env: Readonly<Record<string, string | undefined>> = process.env) {
    this.#child = spawn(process.execPath, ['--import', tsx, ...argv], { stdio: ['ignore', 'pipe', 'pipe'], env });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = once(this.#child, 'close').then(([code]) => {
      this.#seconds = (performance.now() - this.#begun) / 1000;
      return code as number | null;
    });
    void this.#watch();
  }

  get usage(): Usage {
    return this.#usage;
  }

  /** From its start to its end. */
  get seconds(): number {
    return this.#seconds;
  }

  /** Resolves when stderr has the text. @throws when the process ends without it */
  async saying(text: string): Promise<void> {
    while (!this.stderr.includes(text)) {
      if (!this.#isRunning) throw new Error(`ended without saying ${text}: ${this.stderr.slice(-1000)}`);
      await sleep(LOOK_MS);
    }
  }

  /** @throws unless it ends with code 0 */
  async done(): Promise<this> {
    const code = await this.ended;
    if (code !== 0) throw new Error(`ended with ${code}: ${this.stderr.slice(-1000)}`);
    return this;
  }

  /** Looks a last time, then asks it to end. */
  async stop(): Promise<void> {
    await this.#look();
    this.#child.kill('SIGTERM');
    await this.ended;
  }

  get #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #look(): Promise<void> {
    this.#usage = (this.#child.pid !== undefined && (await usageOf(this.#child.pid))) || this.#usage;
  }

  async #watch(): Promise<void> {
    while (this.#isRunning) {
      await this.#look();
      await sleep(LOOK_MS);
    }
  }
}
