/**
 * @file Whether every file of a store is whole, told from the formats alone; also continually, while others write.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { decode } from 'fast-png';

/** Files of a folder by relative path, unfinished writes left out. */
export function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.tmp-'))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** What is wrong with the files of a folder; nothing for whole ones. */
export function tornFiles(folder: string, files = filesOf(folder)): string[] {
  return files.flatMap((file) => {
    try {
      checkWhole(file, readFileSync(join(folder, file)));
      return [];
    } catch (error) {
      return isAbsent(error) ? [] : [`${file}: ${String(error)}`];
    }
  });
}

/** Looks at every new or changed file of a folder until it is disposed of; `torn` is what it has found. */
export class Watch implements Disposable {
  readonly torn: string[] = [];
  /** Files that were looked at. */
  looks = 0;
  readonly #seen = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;

  constructor(folder: string) {
    this.#timer = setInterval(() => this.#look(folder), 5);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(folder: string): void {
    try {
      const changed = filesOf(folder).filter((file) => this.#isChanged(join(folder, file), file));
      this.looks += changed.length;
      this.torn.push(...tornFiles(folder, changed));
    } catch (error) {
      if (!isAbsent(error)) throw error; // a folder that comes or goes meanwhile
    }
  }

  #isChanged(path: string, file: string): boolean {
    const { ino, mtimeMs, size } = statSync(path);
    const state = `${ino} ${mtimeMs} ${size}`;
    if (this.#seen.get(file) === state) return false;
    this.#seen.set(file, state);
    return true;
  }
}

function checkWhole(file: string, bytes: Buffer): void {
  const ending = file.slice(file.lastIndexOf('.') + 1);
  const text = (): string => {
    if (bytes.length > 0 && bytes.at(-1) !== 0x0a) throw new Error('no final newline');
    return bytes.toString('utf8');
  };
  switch (ending) {
    case 'json':
      JSON.parse(text());
      return;
    case 'jsonl':
      // A run without results so far has an empty manifest.
      for (const line of text().split('\n').slice(0, -1)) JSON.parse(line);
      return;
    case 'png':
      decode(bytes, { checkCrc: true });
      if (bytes.toString('latin1', bytes.length - 8, bytes.length - 4) !== 'IEND') throw new Error('no end');
      return;
    case 'webp':
      if (bytes.readUInt32LE(4) + 8 !== bytes.length) throw new Error(`${bytes.length} bytes`);
      return;
    case 'safetensors': {
      const start = 8 + Number(bytes.readBigUInt64LE(0));
      const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
        string,
        { data_offsets?: [number, number] }
      >;
      const ends = Object.values(header).map((entry) => entry.data_offsets?.[1] ?? 0);
      if (start + Math.max(...ends) !== bytes.length) throw new Error(`${bytes.length} bytes`);
      return;
    }
    default:
      throw new Error('a file that no store has');
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
