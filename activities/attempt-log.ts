/**
 * @file The log of one attempt at an item, kept in the store so that it outlives the process. Lines are gathered and written
 * with checkpoints and at the end; a log that cannot be written never harms the search, and is complained of.
 */
import { hostname } from 'node:os';

import { isRefereeError } from '../errors.ts';
import type { AttemptId, ItemId, RunId } from '../store/layout.ts';
import { newAttemptId, writeLog } from '../store/log.ts';
import type { LogEvent, LogLevel, LogLine } from '../store/log.ts';
import type { ObjectStore } from '../store/object-store.ts';

export interface LogPlace {
  readonly store: ObjectStore;
  readonly run: RunId;
  readonly item: ItemId;
  /** Who works: see `workerIdentity`. */
  readonly worker: string;
}

interface Begun {
  /** Before this one. */
  readonly attempts: number;
  /** Of the checkpoint that it goes on from. */
  readonly step: number | undefined;
  readonly steps: number;
  /** Damaged checkpoints. */
  readonly skipped: readonly { readonly reason: string }[];
}

export type LogFields = Partial<Pick<LogLine, 'step' | 'steps' | 'seconds' | 'code' | 'reason'>>;

/** Process and host, as Temporal's pages name workers too. */
export function workerIdentity(): string {
  return `${process.pid}@${hostname()}`;
}

const LEVELS: Readonly<Record<LogEvent, LogLevel>> = {
  start: 'info',
  resume: 'info',
  'passed-over': 'warn',
  checkpoint: 'info',
  leave: 'info',
  'given-up': 'warn',
  error: 'warn',
  failed: 'error',
  done: 'info',
};

export class AttemptLog {
  readonly #place: LogPlace;
  readonly #id: AttemptId;
  readonly #lines: LogLine[] = [];
  /** How many processes have worked on the item, with this one. */
  #attempt: number | undefined;
  /** Lines that the store has, or is being given. */
  #written = 0;
  #writing: Promise<void> | undefined;
  #complaint: string | undefined;

  constructor(place: LogPlace) {
    this.#place = place;
    this.#id = newAttemptId(place);
  }

  /** The first lines of an attempt that has found out what is there. */
  begin({ attempts, step, steps, skipped }: Begun): void {
    this.#attempt = attempts + 1;
    for (const { reason } of skipped) this.add('passed-over', { reason });
    this.add(step === undefined ? 'start' : 'resume', { step: step ?? 0, steps });
    // Whatever ended the attempts before may end this one before its first checkpoint too.
    if (attempts > 0 || skipped.length > 0) this.flush();
  }

  add(event: LogEvent, fields: LogFields = {}): void {
    const { run, item, worker } = this.#place;
    const attempt = this.#attempt !== undefined && { attempt: this.#attempt };
    const named = { v: 1 as const, time: new Date().toISOString(), level: LEVELS[event], run, item };
    this.#lines.push({ ...named, ...attempt, worker, event, ...fields });
  }

  /** Begins to write what was added. The search does not wait for it. */
  flush(): void {
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
  }

  /** Everything is written, or was tried. What went wrong, once; else undefined. */
  async end(): Promise<string | undefined> {
    while (this.#writing) await this.#writing;
    if (this.#written < this.#lines.length) await this.#write();
    const complaint = this.#complaint;
    this.#complaint = undefined;
    return complaint;
  }

  async #write(): Promise<void> {
    const { store, run, item } = this.#place;
    try {
      while (this.#written < this.#lines.length) {
        const lines = [...this.#lines];
        this.#written = lines.length;
        await writeLog(store, { run, item, attempt: this.#id }, lines);
      }
    } catch (error) {
      this.#complaint = isRefereeError(error) ? error.message : String(error);
    }
  }
}

/** The code of whatever was thrown; messages may quote a prompt, and stay out of logs. */
export function codeOf(error: unknown): string {
  return isRefereeError(error) ? error.code : 'Internal';
}
