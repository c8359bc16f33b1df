/**
 * @file What referee needs of a place that keeps bytes under keys: whole-or-absent writes, writes that only the first of
 * several writers wins, and listing. A folder is one (file-store.ts); an object store on the network can be another.
 */
import type { ObjectKey } from './layout.ts';

export interface PutOptions {
  /** Leave what is there alone and answer `exists`; of several writers exactly one is told `written`. */
  readonly once?: boolean;
}

export interface ObjectInfo {
  readonly bytes: number;
}

export interface StoreCheck {
  /** What the work ahead is expected to write at most; too little free space is an error before any work. */
  readonly bytesNeeded?: number;
}

export interface ObjectStore {
  /** The store as messages name it: a folder, a URL. */
  readonly root: string;
  /** Where people and other programs find the object: a path, a URL. */
  locate(key: ObjectKey): string;
  get(key: ObjectKey): Promise<Uint8Array | undefined>;
  /** After it returns the object survives a loss of power; if it fails or the process dies the old one, or none, is there. */
  put(key: ObjectKey, data: Uint8Array | string, options?: PutOptions): Promise<'written' | 'exists'>;
  /** Keys below a prefix that ends in `/`, sorted. Unfinished writes are never among them. */
  list(prefix: string): Promise<ObjectKey[]>;
  head(key: ObjectKey): Promise<ObjectInfo | undefined>;
  /** Nothing happens when it is not there. */
  delete(key: ObjectKey): Promise<void>;
  /** Proves that the store can be written, by writing and deleting. Throws InvalidStore or StoreFull with one line. */
  check(options?: StoreCheck): Promise<void>;
}
