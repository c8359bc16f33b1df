/**
 * @file The log file of a worker as it grows: whole lines, parsed.
 */
import { closeSync, openSync, readSync } from 'node:fs';

export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly message: string;
  readonly item?: string;
  readonly step?: number;
  readonly attempt?: number;
  readonly code?: string;
}

const CHUNK = 1 << 16;

export class LogTail {
  readonly lines: LogLine[] = [];
  readonly #file: string;
  #at = 0;
  #rest = '';

  constructor(file: string) {
    this.#file = file;
  }

  /** Reads what is new. Lines that are no documents (a crash of Node itself) are left out. */
  read(): readonly LogLine[] {
    const descriptor = openSync(this.#file, 'a+');
    try {
      const buffer = Buffer.alloc(CHUNK);
      for (;;) {
        const bytes = readSync(descriptor, buffer, 0, CHUNK, this.#at);
        if (bytes === 0) break;
        this.#at += bytes;
        this.#rest += buffer.toString('utf8', 0, bytes);
      }
    } finally {
      closeSync(descriptor);
    }
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop()!;
    const found = lines.filter((line) => line.startsWith('{') && line.endsWith('}'));
    this.lines.push(...found.map((line) => JSON.parse(line) as LogLine));
    return this.lines;
  }
}
