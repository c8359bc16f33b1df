/**
 * @file One try of one call: given up when nothing has come for too long, ended at once by the caller's signal.
 */
import { addAbortSignal } from 'node:stream';
import type { Readable } from 'node:stream';

import { DamagedBody, NoProgress } from './s3-errors.ts';

export interface Attempt {
  readonly abortSignal: AbortSignal;
  /** Something has come: the time begins anew. */
  readonly touch: () => void;
}

/** @throws NoProgress when `work` has not touched the watch for `idleMs` */
export async function watched<T>(
  work: (attempt: Attempt) => Promise<T>,
  { idleMs, signal }: { readonly idleMs: number; readonly signal: AbortSignal | undefined },
): Promise<T> {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(new NoProgress()), idleMs);
  try {
    const abortSignal = signal ? AbortSignal.any([signal, idle.signal]) : idle.signal;
    return await work({ abortSignal, touch: () => void timer.refresh() });
  } catch (error) {
    // What the SDK throws for an abort does not say whose it was.
    throw idle.signal.aborted ? idle.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

/** All of a body. @throws DamagedBody when it is not as long as it was said to be */
export async function readBody(
  body: unknown,
  length: number | undefined,
  { abortSignal, touch }: Attempt,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of addAbortSignal(abortSignal, body as Readable)) {
    chunks.push(chunk as Uint8Array);
    bytes += (chunk as Uint8Array).length;
    touch();
  }
  if (length !== undefined && bytes !== length) throw new DamagedBody(`${bytes} of ${length} bytes came`);
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
