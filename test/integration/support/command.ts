/**
 * @file The whole command with its real machinery: in this process, where a test needs no signals, or as a child process.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { runCommandLine } from '../../../cli/command-line.ts';

export type Event = Readonly<Record<string, unknown>>;

export interface Ended {
  /** Null for a process that a signal killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Documents of stdout, where it has any. */
  readonly events: readonly Event[];
}

/** One device, known beforehand: nothing is probed, and sessions are built once. */
export const ONE_DEVICE = ['--provider', 'cpu', '--threads', '1'] as const;

interface Here {
  readonly stdin?: readonly (string | Uint8Array)[];
  /** Told each piece of stdout before the command goes on. */
  readonly onOutput?: (text: string) => void;
  /** Where measurements are kept; by default none are. */
  readonly cache?: string;
}

/** The command in this process. */
export async function referee(argv: readonly string[], { stdin = [], onOutput, cache }: Here = {}): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  const stdout = {
    write: (text: string) => {
      said.stdout += text;
      onOutput?.(text);
      return true;
    },
  };
  const stderr = { write: (text: string) => ((said.stderr += text), true) };
  const code = await runCommandLine({
    argv,
    stdin: Readable.from(stdin.map((piece) => Buffer.from(piece as Uint8Array))),
    stdout,
    stderr,
    environment: { isInteractive: false, hasColour: false, columns: 80 },
    engine: {
      startRun: async () => (await import('../../../activities/run.ts')).startRun,
      checkFolder: async () => (await import('../../../activities/models-check.ts')).checkFolder,
    },
    ...(cache !== undefined && { cache }),
    version: '0.0.0',
  });
  return { code, ...said, events: eventsOf(said.stdout) };
}

/** A child process that runs the command from its sources. */
export class Referee {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly #said = { stdout: '', stderr: '' };
  readonly #waiting = new Set<() => void>();

  /** @param preload modules that are loaded before the command */
  constructor(argv: readonly string[], cwd = process.cwd(), preload: readonly string[] = []) {
    const tsx = fileURLToPath(import.meta.resolve('tsx'));
    const main = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url));
    const imports = [tsx, ...preload].flatMap((file) => ['--import', file]);
    this.process = spawn(process.execPath, [...imports, main, ...argv], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of ['stdout', 'stderr'] as const) {
      this.process[stream]?.setEncoding('utf8').on('data', (text: string) => {
        this.#said[stream] += text;
        for (const look of this.#waiting) look();
      });
    }
    this.ended = once(this.process, 'close').then(([code]) => ({
      code: code as number | null,
      ...this.#said,
      events: this.events,
    }));
  }

  get events(): readonly Event[] {
    return eventsOf(this.#said.stdout);
  }

  /** Resolves with the first event of stdout that fits; undefined when the process ends without one. */
  event(fits: (event: Event) => boolean): Promise<Event | undefined> {
    return this.#wait(() => this.events.find(fits));
  }

  /** Resolves when stderr has the text, or the process has ended. */
  async stderrHas(text: string): Promise<void> {
    await this.#wait(() => this.#said.stderr.includes(text) || undefined);
  }

  /** Resolves when stdout has the text, or the process has ended. */
  async stdoutHas(text: string): Promise<void> {
    await this.#wait(() => this.#said.stdout.includes(text) || undefined);
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  async #wait<T>(find: () => T | undefined): Promise<T | undefined> {
    const found = new Promise<T>((resolve) => {
      const look = (): void => {
        const value = find();
        if (value === undefined) return;
        this.#waiting.delete(look);
        resolve(value);
      };
      this.#waiting.add(look);
      look();
    });
    return Promise.race([found, this.ended.then(() => undefined)]);
  }
}

/** Whole lines that are documents: a process that was killed may leave a part of one, people's lines are none. */
function eventsOf(text: string): Event[] {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Event);
}
