/**
 * @file What a store really does: every call that runs make of it, tried out on probes that are deleted again, and what
 * follows from each answer.
 */
import { randomBytes } from 'node:crypto';

import { isRefereeError, RefereeError } from '../../errors.ts';
import { sha256 } from '../../store/ids.ts';
import { asRunId, manifestKey, runKey } from '../../store/layout.ts';
import type { S3Options } from '../../store/s3-calls.ts';
import type { S3Store } from '../../store/s3-store.ts';
import type { Finding } from './finding.ts';
import { bytesText, failedFinding } from './finding.ts';
import type { ProbedStore } from './probed-store.ts';
import { probedStore } from './probed-store.ts';

export interface StoreCheckRequest {
  /** As the user wrote it. */
  readonly location: string;
  readonly signal: AbortSignal;
  readonly onFinding: (finding: Finding) => void;
  readonly s3?: S3Options;
}

const PROBE_BYTES = 65_536;
/** Writers of one key at the same time. */
const WRITERS = 4;
/** A run of some hundred pictures of 512 pixels with its previews and checkpoints. */
const LEAST_FREE_BYTES = 1e9;

const RUN = asRunId('probe');
const WHOLE = runKey(RUN);
const ONCE = manifestKey(RUN);

interface Probing {
  readonly store: ProbedStore;
  readonly payload: Uint8Array;
  readonly signal: AbortSignal;
}

type Probe = (probing: Probing) => Promise<Omit<Finding, 'name'>>;

/** In this order; without the first one the others say nothing. */
const PROBES: Readonly<Record<string, Probe>> = {
  store: write,
  'store reading': readBack,
  'store ranges': readRange,
  'store checksums': checksums,
  'store listing': list,
  'store conditional writes': conditional,
  'store space': space,
};

/** @throws RefereeError Interrupted when aborted; no probe stays then either */
export async function checkStore({ location, signal, onFinding, s3 = {} }: StoreCheckRequest): Promise<void> {
  let store: ProbedStore;
  try {
    store = probedStore(location, s3);
  } catch (error) {
    onFinding(failedFinding('store', error));
    return;
  }
  const probing = { store, payload: new Uint8Array(randomBytes(PROBE_BYTES)), signal };
  let isWritten = false;
  try {
    for (const [name, probe] of Object.entries(PROBES)) {
      signal.throwIfAborted();
      const finding = await found(name, store, () => probe(probing));
      onFinding(finding);
      if (name === 'store' && finding.state === 'error') break;
      isWritten = true;
    }
  } finally {
    const cleared = await found('store deleting', store, () => clear(store));
    // Where nothing could be written nothing is left, and who is not there cannot be asked to delete either.
    if (isWritten) onFinding(cleared);
  }
}

async function found(name: string, store: ProbedStore, probe: () => Promise<Omit<Finding, 'name'>>): Promise<Finding> {
  try {
    return { name, ...(await probe()) };
  } catch (error) {
    if (isRefereeError(error) && error.code === 'Interrupted') throw error;
    const finding = failedFinding(name, error, { fix: fixOf(error, store) });
    // The user's store, not the place of the probes in it.
    return { ...finding, found: finding.found.replace(/\/\.probe-[0-9a-z-]+(?=")/, '') };
  }
}

function fixOf(error: unknown, { kind }: ProbedStore): string | undefined {
  if (!isRefereeError(error)) return undefined;
  if (error.code === 'StoreUnavailable')
    return 'start the server, or set AWS_ENDPOINT_URL_S3 to the URL where it answers';
  return error.hint ?? (kind === 'folder' ? 'choose a folder with --store' : undefined);
}

async function write({ store, payload, signal }: Probing): Promise<Omit<Finding, 'name'>> {
  await store.probes.put(WHOLE, payload, { signal });
  return { state: 'ok', found: `${store.where} can be written`, facts: { kind: store.kind, where: store.where } };
}

async function readBack({ store, payload, signal }: Probing): Promise<Omit<Finding, 'name'>> {
  const bytes = await store.probes.get(WHOLE, { signal });
  if (bytes !== undefined && sha256(bytes) === sha256(payload))
    return { state: 'ok', found: 'what was written is read back' };
  const told = bytes === undefined ? 'nothing' : `${bytes.length} other bytes`;
  return {
    state: 'error',
    found: `${told} came back of the ${payload.length} bytes that were written`,
    fix:
      store.kind === 'bucket'
        ? 'AWS_ENDPOINT_URL_S3 names no S3 server, or one that is not consistent: choose another'
        : 'choose another file system',
  };
}

async function readRange({ store, payload, signal }: Probing): Promise<Omit<Finding, 'name'>> {
  const [start, end] = [1000, 3000];
  const bytes = await store.probes.get(WHOLE, { range: { start, end }, signal });
  const isRight = bytes !== undefined && sha256(bytes) === sha256(payload.subarray(start, end));
  if (isRight) return { state: 'ok', found: 'a range of bytes is read as such' };
  return {
    state: 'warning',
    found: `a range of ${end - start} bytes was answered with ${bytes?.length ?? 0} bytes that are not it`,
    fix: 'runs read whole objects and work; programs that read ranges of large files do not',
  };
}

/** Files carry no digest of their own: those that matter have it inside. */
async function checksums({ store, payload, signal }: Probing): Promise<Omit<Finding, 'name'>> {
  const inside = 'checkpoints and pictures are compared with the digests that their records hold';
  const { bucket } = store;
  if (!bucket) return { state: 'ok', found: inside };
  const name = bucket.locate(WHOLE).replace(/^s3:\/\/[^/]+\//, '');
  const digest = (await bucket.calls.head(name, { signal }))?.digest;
  if (digest === sha256(payload))
    return { state: 'ok', found: 'the SHA-256 of an object is kept with it and compared when it is read' };
  return {
    state: 'warning',
    found: `the server does not keep the SHA-256 of an object in its metadata; ${inside}, other objects are not`,
    fix: 'choose a server that keeps x-amz-meta-* headers',
  };
}

async function list({ store, signal }: Probing): Promise<Omit<Finding, 'name'>> {
  const keys = await store.probes.list('', { signal });
  if (keys.includes(WHOLE)) return { state: 'ok', found: 'an object is listed right after its write' };
  return {
    state: 'warning',
    found:
      'an object is not listed right after its write: a run that goes on may not see its newest checkpoint, and repeats steps',
    fix: 'choose a server with consistent listings',
  };
}

async function conditional({ store, signal }: Probing): Promise<Omit<Finding, 'name'>> {
  const { bucket, probes } = store;
  const told = await Promise.all(
    Array.from({ length: WRITERS }, (_, writer) => probes.put(ONCE, `${writer}`, { once: true, signal })),
  );
  const written = told.filter((each) => each === 'written').length;
  const stays = Number(new TextDecoder().decode((await probes.get(ONCE, { signal })) ?? Uint8Array.of()));
  const again = await probes.put(ONCE, 'again', { once: true, signal });
  const isSound = told[stays] === 'written' && again === 'exists';
  const counted = `of ${WRITERS} writers at the same time ${written} ${written === 1 ? 'was' : 'were'} told to have written`;
  const facts = { writers: WRITERS, written };
  if (!isSound) {
    return {
      state: 'error',
      found: `of ${WRITERS} writers of one key none that was told to have written is the one whose bytes are there`,
      fix: 'use one process a run in this store, or another store',
      facts,
    };
  }
  if (bucket)
    return {
      ...(await ofServer(bucket, counted, written)),
      facts: { ...facts, conditionalWrites: await bucket.conditionalWrites() },
    };
  return { state: written === 1 ? 'ok' : 'error', found: `the first of two writes stays; ${counted}`, facts };
}

const COMPARED =
  'results of double runs are read back and compared instead, and of two at the same moment the later stays';

async function ofServer(bucket: S3Store, counted: string, written: number): Promise<Omit<Finding, 'name'>> {
  const writes = await bucket.conditionalWrites();
  const refusal = (await bucket.conditionalRefusal()) ?? 'no error';
  const fix = 'harmless where results have the same bytes; a server that keeps the condition makes write-once exact';
  switch (writes) {
    case 'kept':
      if (written > 1)
        return { state: 'warning', found: `If-None-Match is kept one after the other only; ${counted}`, fix };
      return {
        state: 'ok',
        found: `If-None-Match is kept: the second write gets ${refusal}, so the first result of a double run stays; ${counted}`,
      };
    case 'ignored':
      return {
        state: 'warning',
        found: `conditional writes are ignored: the second write gets ${refusal}; ${COMPARED}`,
        fix,
      };
    case 'unsupported':
      return { state: 'warning', found: `conditional writes are refused (${refusal}); ${COMPARED}`, fix };
  }
}

async function space({ store }: Probing): Promise<Omit<Finding, 'name'>> {
  const bytes = await store.free();
  if (bytes === undefined)
    return { state: 'ok', found: 'S3 does not tell how much is free: a full bucket shows itself when it is written' };
  const isLittle = bytes < LEAST_FREE_BYTES;
  return {
    state: isLittle ? 'warning' : 'ok',
    found: `${bytesText(bytes)} free`,
    ...(isLittle && { fix: 'free some space, or choose another folder with --store' }),
    facts: { freeBytes: bytes },
  };
}

async function clear(store: ProbedStore): Promise<Omit<Finding, 'name'>> {
  const left = await store.clear();
  if (left.length === 0) return { state: 'ok', found: 'probes are deleted, none is left' };
  throw new RefereeError('InvalidStore', `store: cannot delete; of the probes ${left.length} are left: ${left[0]}`, {
    hint: 'allow s3:DeleteObject on the objects: without it old checkpoints stay for ever; this command removes its probes when they are 15 minutes old',
    details: { left: left.length },
  });
}
