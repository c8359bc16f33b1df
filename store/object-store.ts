/**
 * @file What referee needs of a place that keeps bytes under keys: whole-or-absent writes, writes that only the first of
 * several writers wins, and listing. A folder is one (file-store.ts), a bucket another (s3-store.ts).
 */
import { RefereeError, isRefereeError } from '../errors.ts';
import type { ObjectKey } from './layout.ts';

export interface CallOptions {
  /** Ends the call, with the error `Interrupted`; looked at where the store is on the network. */
  readonly signal?: AbortSignal | undefined;
  /** Told right before anything is changed, at every try of the call; what it throws ends the call. */
  readonly fence?: (() => void) | undefined;
}

export interface GetOptions extends CallOptions {
  /** Only the bytes from `start` up to `end`, which is not included; fewer, or none, where the object is shorter. */
  readonly range?: { readonly start: number; readonly end: number };
}

export interface PutOptions extends CallOptions {
  /** Leave what is there alone and answer `exists`; of several writers exactly one is told `written`. */
  readonly once?: boolean;
}

export interface ObjectInfo {
  readonly bytes: number;
}

export interface StoreCheck extends CallOptions {
  /** What the work ahead is expected to write at most; too little free space is an error before any work. */
  readonly bytesNeeded?: number;
}

export interface ObjectStore {
  /** The store as messages name it: a folder, a URL. */
  readonly root: string;
  /** Where people and other programs find the object: a path, a URL. */
  locate(key: ObjectKey): string;
  /** @throws InvalidStore with `details.damage` when the bytes are known not to be those that were put */
  get(key: ObjectKey, options?: GetOptions): Promise<Uint8Array | undefined>;
  /** After it returns the object survives a loss of power; if it fails or the process dies the old one, or none, is there. */
  put(key: ObjectKey, data: Uint8Array | string, options?: PutOptions): Promise<'written' | 'exists'>;
  /** Keys below a prefix that ends in `/`, sorted. Unfinished writes are never among them. */
  list(prefix: string, options?: CallOptions): Promise<ObjectKey[]>;
  /**
   * Everything below a prefix that ends in `/`, keys or not, unfinished writes too, in the order of keys; a folder that holds
   * nothing ends in `/`. Told as it is read, so that it may be longer than the memory. A store of one's own can do without.
   */
  names?(prefix: string, options?: CallOptions): AsyncIterable<string>;
  head(key: ObjectKey, options?: CallOptions): Promise<ObjectInfo | undefined>;
  /** Nothing happens when it is not there. */
  delete(key: ObjectKey, options?: CallOptions): Promise<void>;
  /** Proves that the store can be written, by writing and deleting. Throws InvalidStore or StoreFull with one line. */
  check(options?: StoreCheck): Promise<void>;
}

/** The object, or what is known to be wrong with its bytes, for callers that can do without it. */
export async function getUnlessDamaged(
  store: ObjectStore,
  key: ObjectKey,
): Promise<Uint8Array | { readonly damage: string } | undefined> {
  try {
    return await store.get(key);
  } catch (error) {
    if (!isRefereeError(error) || error.details['damage'] === undefined) throw error;
    return { damage: String(error.details['damage']) };
  }
}

/** What a range leaves of `bytes`. */
export function withinRange(bytes: Uint8Array, range: GetOptions['range']): Uint8Array {
  return range ? bytes.subarray(...checkedRange(range)) : bytes;
}

/** @throws Internal unless 0 <= start < end */
export function checkedRange({ start, end }: NonNullable<GetOptions['range']>): [start: number, end: number] {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start < end) return [start, end];
  throw new RefereeError('Internal', `range of bytes: expected 0 <= start < end, found ${start} and ${end}`);
}
