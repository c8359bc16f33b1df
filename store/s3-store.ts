/**
 * @file A bucket as a store, at Amazon's or any server that speaks its protocol. Every object is one PUT, so it is whole or
 * absent; its SHA-256 goes along, is checked by the server, and by us when it is read. Calls are repeated for a while when
 * the network or the server fails; what that cannot mend is an error of one line.
 *
 * Write-once is the server's own condition (`If-None-Match: *`). Not all servers know it, and some take the header and
 * ignore it, so it is tried out before the first such write; where it fails, writes are read back and compared.
 */
import { randomUUID } from 'node:crypto';

import { RefereeError, quoted } from '../errors.ts';
import { checkFolder, parseKey } from './layout.ts';
import type { ObjectKey } from './layout.ts';
import type { CallOptions, GetOptions, ObjectInfo, ObjectStore, PutOptions, StoreCheck } from './object-store.ts';
import { S3Calls } from './s3-calls.ts';
import type { S3Options } from './s3-calls.ts';
import { parseS3Location } from './s3-location.ts';

/** What a server does with the second of two writes of which only the first may count. */
export type ConditionalWrites = 'kept' | 'ignored' | 'unsupported';

interface ConditionalAnswer {
  readonly writes: ConditionalWrites;
  /** How the server named its refusal. */
  readonly refusal?: string;
}

const PROBE = 'written by referee to see whether it can; may be deleted\n';

export class S3Store implements ObjectStore {
  readonly root: string;
  /** For tests of what a server does, by names that no key has. */
  readonly calls: S3Calls;
  readonly #bucket: string;
  readonly #prefix: string;
  #conditional: Promise<ConditionalAnswer> | undefined;

  /** `s3://bucket[/prefix]`. Nothing is loaded or asked before the first call. */
  constructor(url: string, options: S3Options = {}) {
    const { bucket, prefix } = parseS3Location(url);
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.root = `s3://${bucket}/${prefix}`.replace(/\/$/, '');
    this.calls = new S3Calls(bucket, this.root, options);
  }

  locate(key: ObjectKey): string {
    return `s3://${this.#bucket}/${this.#nameOf(key)}`;
  }

  async get(key: ObjectKey, options: GetOptions = {}): Promise<Uint8Array | undefined> {
    return this.calls.get(this.#nameOf(key), options);
  }

  async put(
    key: ObjectKey,
    data: Uint8Array | string,
    { once = false, ...options }: PutOptions = {},
  ): Promise<'written' | 'exists'> {
    const name = this.#nameOf(key);
    const writer = randomUUID();
    if (once && (await this.conditionalWrites()) !== 'kept') {
      // Without the server's help two writers at the same moment may both be told `written`, of which the later stays.
      if (await this.calls.head(name, options)) return 'exists';
      await this.calls.put(name, data, { writer, ...options });
      return (await this.calls.head(name, options))?.writer === writer ? 'written' : 'exists';
    }
    return (await this.calls.put(name, data, { once, writer, ...options })) === 'exists' ? 'exists' : 'written';
  }

  async list(prefix: string, options: CallOptions = {}): Promise<ObjectKey[]> {
    const keys: ObjectKey[] = [];
    for await (const name of this.names(prefix, options)) if (parseKey(name)) keys.push(name as ObjectKey);
    return keys.sort();
  }

  async *names(prefix: string, options: CallOptions = {}): AsyncGenerator<string> {
    checkFolder(prefix);
    for await (const name of this.calls.list(`${this.#prefix}${prefix}`, options)) {
      const key = name.slice(this.#prefix.length);
      if (name.startsWith(this.#prefix) && key.startsWith(prefix)) yield key;
    }
  }

  async head(key: ObjectKey, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    const found = await this.calls.head(this.#nameOf(key), options);
    return found && { bytes: found.bytes };
  }

  async delete(key: ObjectKey, options: CallOptions = {}): Promise<void> {
    await this.calls.delete(this.#nameOf(key), options);
  }

  /** How much space is free cannot be asked: a full bucket shows itself when it is written. */
  async check({ signal }: StoreCheck = {}): Promise<void> {
    const name = this.probeName();
    await this.calls.put(name, PROBE, { writer: randomUUID(), signal });
    const found = await this.calls.get(name, { signal });
    await this.calls.delete(name, { signal });
    if (found === undefined || new TextDecoder().decode(found) !== PROBE) {
      throw new RefereeError('InvalidStore', `store ${quoted(this.root)}: what was written was not read back`);
    }
    await this.conditionalWrites();
  }

  /** Tried out once for this store, with two writes of an object that is deleted again. */
  async conditionalWrites(): Promise<ConditionalWrites> {
    return (await this.#tried()).writes;
  }

  /** How the server named its refusal of the second write, such as `PreconditionFailed`; undefined where it did not refuse. */
  async conditionalRefusal(): Promise<string | undefined> {
    return (await this.#tried()).refusal;
  }

  #tried(): Promise<ConditionalAnswer> {
    // Without a signal: several calls may wait for it.
    this.#conditional ??= this.#tryConditional().catch((error: unknown) => {
      this.#conditional = undefined;
      throw error;
    });
    return this.#conditional;
  }

  /** The name of an object that is no key of any run, below the prefix. */
  probeName(): string {
    return `${this.#prefix}.probe-${randomUUID()}`;
  }

  async #tryConditional(): Promise<ConditionalAnswer> {
    const name = this.probeName();
    let refused: { refusal?: string } = {};
    const onRefused = (refusal: string): void => void (refused = { refusal });
    try {
      const first = await this.calls.put(name, PROBE, { once: true, writer: randomUUID(), onRefused });
      if (first === 'unsupported') return { writes: first, ...refused };
      const second = await this.calls.put(name, PROBE, { once: true, writer: randomUUID(), onRefused });
      return { writes: second === 'exists' ? 'kept' : 'ignored', ...refused };
    } finally {
      // An object of 57 bytes that may not be deleted does no harm; `check` tells of the permission.
      await this.calls.delete(name).catch(() => undefined);
    }
  }

  #nameOf(key: ObjectKey): string {
    if (parseKey(key) === undefined) throw new RefereeError('Internal', `not a key of the store: ${quoted(key)}`);
    return `${this.#prefix}${key}`;
  }
}
