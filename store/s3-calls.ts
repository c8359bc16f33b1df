/**
 * @file The five calls of the protocol that the store is made of, by names of objects, repeated while that may help.
 */
import { RefereeError, quoted } from '../errors.ts';
import { sha256 } from './ids.ts';
import { checkedRange } from './object-store.ts';
import type { CallOptions, GetOptions } from './object-store.ts';
import { DEFAULT_RETRIES, withRetries } from './retries.ts';
import type { RetryPolicy } from './retries.ts';
import { readBody, watched } from './s3-attempt.ts';
import type { Attempt } from './s3-attempt.ts';
import { openS3Client } from './s3-client.ts';
import type { S3Client, S3Settings } from './s3-client.ts';
import { DamagedBody, explained, failureOf, isTransient } from './s3-errors.ts';
import type { FailedCall, FailureKind } from './s3-errors.ts';

export interface S3Options extends S3Settings {
  readonly retries?: Partial<RetryPolicy>;
  /** After so long without an answer, or a further part of one, a try is given up. Default 15 s. */
  readonly idleMs?: number;
}

export interface Upload extends CallOptions {
  /** Only if there is no such object. */
  readonly once?: boolean;
  /** Kept with the object: which call wrote it. */
  readonly writer: string;
  /** Told how the server named its refusal, where the answer is `exists` or `unsupported`. */
  readonly onRefused?: (code: string) => void;
}

export interface ObjectHead {
  readonly bytes: number;
  readonly writer: string | undefined;
  /** SHA-256 of the bytes that were put, hexadecimal. */
  readonly digest: string | undefined;
}

const IDLE_MS = 15_000;
/** A slower upload counts as one that hangs. */
const SLOWEST_BYTES_PER_MS = 50;

/** Metadata of every object: the digest of its bytes, and which call wrote it. */
const DIGEST = 'referee-sha256';
const WRITER = 'referee-writer';

type Connected = Attempt & S3Client;

interface Call extends CallOptions {
  readonly verb: FailedCall['verb'];
  readonly name?: string;
  /** To send. */
  readonly bytes?: number;
}

export class S3Calls {
  readonly #bucket: string;
  readonly #store: string;
  readonly #settings: S3Settings;
  readonly #policy: RetryPolicy;
  readonly #idleMs: number;
  #client: Promise<S3Client> | undefined;

  /** @param store as messages name it */
  constructor(bucket: string, store: string, { retries, idleMs = IDLE_MS, ...settings }: S3Options) {
    this.#bucket = bucket;
    this.#store = store;
    this.#settings = settings;
    this.#policy = { ...DEFAULT_RETRIES, ...retries };
    this.#idleMs = idleMs;
  }

  /** `unsupported` where the server does not know the condition of `once`. */
  async put(
    name: string,
    data: Uint8Array | string,
    { once = false, writer, onRefused, signal, fence }: Upload,
  ): Promise<'written' | 'exists' | 'unsupported'> {
    const body = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    const digest = sha256(body);
    const input = {
      ...this.#object(name),
      Body: body,
      ChecksumSHA256: Buffer.from(digest, 'hex').toString('base64'),
      Metadata: { [DIGEST]: digest, [WRITER]: writer },
      ContentType: contentType(name),
      ...(once && { IfNoneMatch: '*' }),
    };
    let isUnsure = false;
    const call: Call = { verb: 'write', name, signal, fence, bytes: body.length };
    return this.#repeated(call, async ({ client, sdk, abortSignal }) => {
      try {
        await client.send(new sdk.PutObjectCommand(input), { abortSignal });
        return 'written';
      } catch (error) {
        const { kind, code } = failureOf(error);
        if (once && (kind === 'unsupported' || kind === 'exists')) onRefused?.(code);
        if (once && kind === 'unsupported') return 'unsupported';
        // After a try whose outcome is unknown, what is there may be our own.
        if (once && kind === 'exists')
          return isUnsure && (await this.#isBy(writer, name, signal)) ? 'written' : 'exists';
        isUnsure = true;
        throw error;
      }
    });
  }

  /** Undefined when it is not there. @throws InvalidStore with `details.damage` when its digest is not what was written */
  async get(name: string, { range, signal }: GetOptions = {}): Promise<Uint8Array | undefined> {
    const bytes = range && checkedRange(range);
    // Both ends of a range of HTTP are included.
    const input = { ...this.#object(name), ...(bytes && { Range: `bytes=${bytes[0]}-${bytes[1] - 1}` }) };
    return this.#repeated({ verb: 'read', name, signal }, async (attempt) => {
      const { client, sdk, abortSignal } = attempt;
      const answer = await unless(['absent', 'empty-range'], () =>
        client.send(new sdk.GetObjectCommand(input), { abortSignal }),
      );
      if (answer === 'absent') return undefined;
      if (answer === 'empty-range') return new Uint8Array();
      const whole = await readBody(answer.Body, answer.ContentLength, attempt);
      const expected = range ? undefined : answer.Metadata?.[DIGEST];
      if (expected === undefined || expected === sha256(whole)) return whole;
      throw new DamagedBody(
        `has digest ${sha256(whole).slice(0, 12)}, was written with ${quoted(expected.slice(0, 12))}`,
      );
    });
  }

  async head(name: string, { signal }: CallOptions = {}): Promise<ObjectHead | undefined> {
    const answer = await this.#repeated({ verb: 'read', signal }, ({ client, sdk, abortSignal }) =>
      unless(['absent'], () => client.send(new sdk.HeadObjectCommand(this.#object(name)), { abortSignal })),
    );
    if (answer === 'absent') return undefined;
    const { ContentLength: bytes = 0, Metadata: metadata } = answer;
    return { bytes, writer: metadata?.[WRITER], digest: metadata?.[DIGEST] };
  }

  /** Names of all objects that begin with `prefix`, a page of the server's at a time. */
  async *list(
    prefix: string,
    { signal, limit }: CallOptions & { readonly limit?: number } = {},
  ): AsyncGenerator<string> {
    let token: string | undefined;
    do {
      const input = {
        Bucket: this.#bucket,
        Prefix: prefix,
        ...(token !== undefined && { ContinuationToken: token }),
        ...(limit !== undefined && { MaxKeys: limit }),
      };
      const page = await this.#repeated({ verb: 'list', signal }, ({ client, sdk, abortSignal }) =>
        client.send(new sdk.ListObjectsV2Command(input), { abortSignal }),
      );
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key;
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(name: string, { signal, fence }: CallOptions = {}): Promise<void> {
    await this.#repeated({ verb: 'delete', signal, fence }, ({ client, sdk, abortSignal }) =>
      unless(['absent'], () => client.send(new sdk.DeleteObjectCommand(this.#object(name)), { abortSignal })),
    );
  }

  async #isBy(writer: string, name: string, signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.head(name, { signal }))?.writer === writer;
  }

  #object(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: name };
  }

  async #repeated<T>(
    { verb, name, signal, fence, bytes = 0 }: Call,
    work: (attempt: Connected) => Promise<T>,
  ): Promise<T> {
    const idleMs = this.#idleMs + bytes / SLOWEST_BYTES_PER_MS;
    let attempts = 0;
    try {
      this.#client ??= openS3Client(this.#settings);
      const client = await this.#client;
      return await withRetries(
        (attempt) => {
          attempts = attempt;
          fence?.();
          return watched((watch) => work({ ...client, ...watch }), { idleMs, signal });
        },
        { policy: this.#policy, isTransient, signal },
      );
    } catch (error) {
      if (signal?.aborted === true) {
        throw new RefereeError('Interrupted', `store ${quoted(this.#store)}: a call was ended`, {
          cause: signal.reason,
        });
      }
      const object = name === undefined ? {} : { object: `s3://${this.#bucket}/${name}` };
      throw explained(error, { store: this.#store, verb, attempts, ...object });
    }
  }
}

/** The class of what was thrown instead of throwing it, for the classes that are answers too. */
async function unless<T, K extends FailureKind>(kinds: readonly K[], call: () => Promise<T>): Promise<T | K> {
  try {
    return await call();
  } catch (error) {
    const { kind } = failureOf(error);
    const known = kinds.find((each) => each === kind);
    if (known === undefined) throw error;
    return known;
  }
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  json: 'application/json',
  jsonl: 'application/x-ndjson',
  png: 'image/png',
  webp: 'image/webp',
};

/** So that a browser shows what a link of the bucket leads to. */
function contentType(name: string): string {
  return CONTENT_TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
}
