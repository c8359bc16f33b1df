/**
 * @file A store in the hands of somebody who may lose the right to write at any moment: an attempt that was given up while
 * its process was stopped. It is asked before every change, at every try, so that a call that waited over the stop does not
 * write after it. Reading is free.
 */
import { RefereeError } from '../errors.ts';
import type { ObjectKey } from './layout.ts';
import type { CallOptions, GetOptions, ObjectInfo, ObjectStore, PutOptions, StoreCheck } from './object-store.ts';

export class FencedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #fence: () => void;

  /** Changes are made while `mayWrite` says so; after it they throw Interrupted. */
  constructor(store: ObjectStore, mayWrite: () => boolean) {
    this.#store = store;
    this.#fence = () => {
      if (mayWrite()) return;
      throw new RefereeError(
        'Interrupted',
        `store ${store.root}: nothing more is written by an attempt that was given up`,
      );
    };
  }

  get root(): string {
    return this.#store.root;
  }

  locate(key: ObjectKey): string {
    return this.#store.locate(key);
  }

  get(key: ObjectKey, options?: GetOptions): Promise<Uint8Array | undefined> {
    return this.#store.get(key, options);
  }

  async put(key: ObjectKey, data: Uint8Array | string, options?: PutOptions): Promise<'written' | 'exists'> {
    this.#fence();
    return this.#store.put(key, data, { ...options, fence: this.#fence });
  }

  list(prefix: string, options?: CallOptions): Promise<ObjectKey[]> {
    return this.#store.list(prefix, options);
  }

  head(key: ObjectKey, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.#store.head(key, options);
  }

  async delete(key: ObjectKey, options?: CallOptions): Promise<void> {
    this.#fence();
    await this.#store.delete(key, { ...options, fence: this.#fence });
  }

  check(options?: StoreCheck): Promise<void> {
    return this.#store.check(options);
  }
}
