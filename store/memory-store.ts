/**
 * @file A store in memory, for searches that leave nothing behind. It lives as long as somebody holds it.
 */
import { RefereeError, quoted } from '../errors.ts';
import { parseKey } from './layout.ts';
import type { ObjectKey } from './layout.ts';
import { withinRange } from './object-store.ts';
import type { GetOptions, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';

export class MemoryStore implements ObjectStore {
  readonly root = 'memory:';
  readonly #objects = new Map<ObjectKey, Uint8Array>();

  /** A name for messages: `memory:` and the key. Nothing outside of this object can open it. */
  locate(key: ObjectKey): string {
    if (parseKey(key) === undefined) throw new RefereeError('Internal', `not a key of the store: ${quoted(key)}`);
    return `${this.root}${key}`;
  }

  get(key: ObjectKey, { range }: GetOptions = {}): Promise<Uint8Array | undefined> {
    const found = this.#objects.get(key);
    return Promise.resolve(found && withinRange(found, range).slice());
  }

  put(key: ObjectKey, data: Uint8Array | string, { once = false }: PutOptions = {}): Promise<'written' | 'exists'> {
    this.locate(key);
    if (once && this.#objects.has(key)) return Promise.resolve('exists');
    this.#objects.set(key, typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data));
    return Promise.resolve('written');
  }

  list(prefix: string): Promise<ObjectKey[]> {
    return Promise.resolve([...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort());
  }

  async *names(prefix: string): AsyncGenerator<string> {
    yield* await this.list(prefix);
  }

  head(key: ObjectKey): Promise<ObjectInfo | undefined> {
    const found = this.#objects.get(key);
    return Promise.resolve(found && { bytes: found.length });
  }

  delete(key: ObjectKey): Promise<void> {
    this.#objects.delete(key);
    return Promise.resolve();
  }

  check(): Promise<void> {
    return Promise.resolve();
  }
}
