/**
 * @file Progress of long work in one line: redrawn on a terminal, otherwise said every 30 s.
 */
import type { Environment } from './config.ts';
import type { Output } from './render.ts';
import { oneLine } from './render.ts';

const REDRAW_MS = 200;
const LINE_MS = 30_000;

interface PulseOptions {
  readonly stderr: Output['stderr'];
  readonly environment: Environment;
}

export class Pulse implements Disposable {
  readonly #options: PulseOptions;
  readonly #timer: NodeJS.Timeout;
  #line = '';
  #shown = '';
  #isDrawn = false;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), options.environment.isInteractive ? REDRAW_MS : LINE_MS);
    this.#timer.unref();
  }

  /** How far it is. */
  at(line: string): void {
    this.#line = line;
  }

  /** A line that stays. */
  say(line: string): void {
    this.print(() => this.#options.stderr.write(`${oneLine(line)}\n`));
  }

  /** Calls `write` where nothing is drawn. */
  print(write: () => void): void {
    this.clear();
    write();
  }

  clear(): void {
    if (this.#isDrawn) this.#options.stderr.write('\r\u001B[K');
    this.#isDrawn = false;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #tick(): void {
    const { stderr, environment } = this.#options;
    if (this.#line === '' || (this.#line === this.#shown && this.#isDrawn)) return;
    if (!environment.isInteractive) {
      if (this.#line !== this.#shown) stderr.write(`${oneLine(this.#line)}\n`);
    } else {
      this.clear();
      stderr.write(oneLine(this.#line).slice(0, environment.columns - 1));
      this.#isDrawn = true;
    }
    this.#shown = this.#line;
  }
}
