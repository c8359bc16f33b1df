/**
 * @file A folder as a store. A write goes to a temporary file in the same folder, is flushed, and then gets its name in
 * one atomic call: `rename`, or `link` where only the first writer may win. The folder is flushed after it, so that the
 * name survives a loss of power too. A process killed in between leaves a temporary file, which is never listed and is
 * removed by the next process that writes into the same folder.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { link, mkdir, open, readFile, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { RefereeError, quoted } from '../errors.ts';
import { checkFolder, parseKey } from './layout.ts';
import type { ObjectKey } from './layout.ts';
import { checkedRange } from './object-store.ts';
import type { CallOptions, GetOptions, ObjectInfo, ObjectStore, PutOptions, StoreCheck } from './object-store.ts';

/** Temporary names are `.tmp-<host>-<pid>-<nonce>`; no key begins with a dot. */
const TEMPORARY = /^\.tmp-([0-9a-f]{8})-(\d+)-[0-9a-f]{16}$/;
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** No write takes as long: a temporary file of another machine that is older belongs to a process that has died. */
const LEFTOVER_AGE_MS = 3_600_000;

/** Enough that a nearly full file system shows itself, little enough to cost nothing. */
const PROBE_BYTES = 65_536;

export class FileStore implements ObjectStore {
  readonly root: string;
  /** Folders in which this process has already looked for leftovers. */
  readonly #swept = new Set<string>();

  constructor(folder: string) {
    this.root = resolve(folder);
  }

  locate(key: ObjectKey): string {
    if (parseKey(key) === undefined) throw new RefereeError('Internal', `not a key of the store: ${quoted(key)}`);
    return join(this.root, key);
  }

  async get(key: ObjectKey, { range }: GetOptions = {}): Promise<Uint8Array | undefined> {
    const path = this.locate(key);
    return this.#unlessAbsent(() => (range ? readRange(path, ...checkedRange(range)) : readWhole(path)));
  }

  async head(key: ObjectKey): Promise<ObjectInfo | undefined> {
    const found = await this.#unlessAbsent(() => stat(this.locate(key)));
    return found?.isFile() === true ? { bytes: found.size } : undefined;
  }

  async delete(key: ObjectKey, { fence }: CallOptions = {}): Promise<void> {
    fence?.();
    await this.#unlessAbsent(() => unlink(this.locate(key)));
  }

  async put(
    key: ObjectKey,
    data: Uint8Array | string,
    { once = false, fence }: PutOptions = {},
  ): Promise<'written' | 'exists'> {
    const path = this.locate(key);
    try {
      const folder = dirname(path);
      await createFolder(folder);
      await this.#sweep(folder);
      return await writeWhole(path, data, { once, fence });
    } catch (error) {
      throw this.#explained(error, 'write');
    }
  }

  async list(prefix: string): Promise<ObjectKey[]> {
    const keys: ObjectKey[] = [];
    for await (const name of this.names(prefix)) if (parseKey(name) !== undefined) keys.push(name as ObjectKey);
    return keys;
  }

  async *names(prefix: string): AsyncGenerator<string> {
    checkFolder(prefix);
    yield* this.#below(prefix);
  }

  async *#below(folder: string): AsyncGenerator<string> {
    const entries = await this.#unlessAbsent(() => readdir(join(this.root, folder), { withFileTypes: true }));
    for (const entry of sortedByKey(entries ?? [])) {
      const name = `${folder}${entry.name}`;
      if (entry.isDirectory()) yield* this.#below(`${name}/`);
      else yield name;
    }
    if (entries?.length === 0) yield folder;
  }

  async check({ bytesNeeded = 0 }: StoreCheck = {}): Promise<void> {
    try {
      await createFolder(this.root);
      await this.#sweep(this.root);
      const probe = temporaryIn(this.root);
      try {
        await writeFlushed(probe, new Uint8Array(PROBE_BYTES));
      } finally {
        await unlink(probe).catch(() => undefined);
      }
      const { bavail, bsize } = await statfs(this.root);
      const free = bavail * bsize;
      if (free < bytesNeeded) {
        const sizes = `${inMegabytes(free)} free, about ${inMegabytes(bytesNeeded)} needed`;
        throw new RefereeError('StoreFull', `store ${quoted(this.root)}: ${sizes}`);
      }
    } catch (error) {
      throw this.#explained(error, 'write');
    }
  }

  async #unlessAbsent<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw this.#explained(error, 'read');
    }
  }

  /** Removes what processes that died while writing into this folder have left. */
  async #sweep(folder: string): Promise<void> {
    if (this.#swept.has(folder)) return;
    this.#swept.add(folder);
    for (const name of await readdir(folder)) {
      const match = TEMPORARY.exec(name);
      if (match && (await isLeftover(join(folder, name), match[1]!, Number(match[2])))) {
        await unlink(join(folder, name)).catch(() => undefined);
      }
    }
  }

  #explained(error: unknown, verb: 'read' | 'write'): unknown {
    const code = errorCode(error);
    if (code === undefined) return error;
    const store = `store ${quoted(this.root)}`;
    switch (code) {
      case 'ENOSPC':
      case 'EDQUOT':
        return new RefereeError('StoreFull', `${store}: no space left on the device`, { cause: error });
      case 'EEXIST':
      case 'ENOTDIR':
        return new RefereeError('InvalidStore', `${store} must be a folder, found a file`, { cause: error });
      case 'EROFS':
      case 'EACCES':
      case 'EPERM': {
        const hint = 'choose another folder with --store';
        return new RefereeError('InvalidStore', `${store}: cannot ${verb}, no permission (${code})`, {
          cause: error,
          hint,
        });
      }
      default:
        return new RefereeError('InvalidStore', `${store}: cannot ${verb} (${code})`, { cause: error });
    }
  }
}

async function readWhole(path: string): Promise<Uint8Array> {
  const found = await readFile(path);
  // Not the Buffer itself, whose `slice` shares memory where that of a Uint8Array copies.
  return new Uint8Array(found.buffer, found.byteOffset, found.byteLength);
}

async function readRange(path: string, start: number, end: number): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const bytes = new Uint8Array(Math.max(0, Math.min(end, (await file.stat()).size) - start));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, start + filled);
      if (bytesRead === 0) break; // cannot shrink: objects are replaced, never changed
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}

async function writeWhole(
  path: string,
  data: Uint8Array | string,
  { once, fence }: Pick<PutOptions, 'once' | 'fence'>,
): Promise<'written' | 'exists'> {
  const temporary = temporaryIn(dirname(path));
  try {
    await writeFlushed(temporary, data);
    fence?.();
    if (once === true) await link(temporary, path);
    else await rename(temporary, path);
  } catch (error) {
    if (once === true && errorCode(error) === 'EEXIST') return 'exists';
    throw error;
  } finally {
    // After a rename it is gone already; after a failure or a link it is not.
    await unlink(temporary).catch(() => undefined);
  }
  await flushFolder(dirname(path));
  return 'written';
}

async function writeFlushed(path: string, data: Uint8Array | string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * `mkdir -p`, with every new name flushed into the folder above it. Node's own `recursive` never returns where a folder
 * exists and nothing can be created in it with the error "no such file", as in /proc (tried with Node 20.20).
 */
async function createFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    if (await isFolder(folder)) return;
    const parent = dirname(folder);
    if (errorCode(error) !== 'ENOENT' || parent === folder) throw error;
    await createFolder(parent);
    // Another process may have been faster.
    await mkdir(folder).catch(async (again: unknown) => {
      if (!(await isFolder(folder))) throw again;
    });
  }
  await flushFolder(dirname(folder));
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function flushFolder(folder: string): Promise<void> {
  // Windows cannot open a folder; its file systems keep names in their journal.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function isLeftover(path: string, host: string, pid: number): Promise<boolean> {
  if (host === HOST && !isAlive(pid)) return true;
  try {
    return Date.now() - (await stat(path)).mtimeMs > LEFTOVER_AGE_MS;
  } catch {
    return false; // its writer has just finished
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

function temporaryIn(folder: string): string {
  return join(folder, `.tmp-${HOST}-${process.pid}-${randomBytes(8).toString('hex')}`);
}

/** In the order of whole keys: a folder sorts as its name followed by `/`. */
function sortedByKey(entries: Dirent[]): Dirent[] {
  const sortKey = (entry: Dirent): string => (entry.isDirectory() ? `${entry.name}/` : entry.name);
  return entries.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

function inMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error
    ? error.code
    : undefined;
}
