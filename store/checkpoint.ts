/**
 * @file Checkpoints: the state of a search after so many steps, in a safetensors file whose metadata says of which spec and
 * pack it is and carries a digest of everything else in the file. What the tensors mean is the search's business; how they
 * become bytes is given as a codec, which must be deterministic.
 */
import { z } from 'zod';

import { RefereeError, isRefereeError, quoted } from '../errors.ts';
import { sha256 } from './ids.ts';
import { checkpointKey, checkpointsFolder, parseKey } from './layout.ts';
import type { ItemId, ObjectKey, RunId } from './layout.ts';
import { getUnlessDamaged } from './object-store.ts';
import type { ObjectStore } from './object-store.ts';

export const CHECKPOINT_FORMAT = '1';

/** Tensors and text to one file and back. Same input, same bytes; `decode` throws for what `encode` did not write. */
export interface CheckpointCodec<T> {
  encode(tensors: Readonly<Record<string, T>>, metadata: Readonly<Record<string, string>>): Uint8Array;
  decode(bytes: Uint8Array): {
    readonly tensors: Readonly<Record<string, T>>;
    readonly metadata: Readonly<Record<string, string>>;
  };
}

/** Whose state it is: a checkpoint is used only where both digests are those of the search at hand. */
export interface CheckpointOwner {
  readonly specDigest: string;
  readonly packDigest: string;
}

export interface Checkpoint<T> extends CheckpointOwner {
  /** Steps done. */
  readonly step: number;
  /** Provider and hardware that computed it; bytes of a search are promised within one device class. */
  readonly deviceClass: string;
  readonly tensors: Readonly<Record<string, T>>;
}

export interface SkippedCheckpoint {
  readonly path: string;
  readonly reason: string;
}

export interface FoundCheckpoint<T> {
  /** Absent when there is none to go on from. */
  readonly checkpoint?: Checkpoint<T>;
  /** Newer ones that are damaged, newest first: to be told to the user. */
  readonly skipped: readonly SkippedCheckpoint[];
}

const metadataSchema = z.strictObject({
  format: z.string(),
  step: z.string().regex(/^\d{1,6}$/),
  specDigest: z.string(),
  packDigest: z.string(),
  deviceClass: z.string(),
  sha256: z.string(),
});

/** Writes it whole or not at all and returns its key. */
export async function writeCheckpoint<T>(
  store: ObjectStore,
  codec: CheckpointCodec<T>,
  of: { readonly run: RunId; readonly item: ItemId; readonly checkpoint: Checkpoint<T> },
): Promise<ObjectKey> {
  const key = checkpointKey(of.run, of.item, of.checkpoint.step);
  await store.put(key, encodeCheckpoint(codec, of.checkpoint));
  return key;
}

export function encodeCheckpoint<T>(codec: CheckpointCodec<T>, checkpoint: Checkpoint<T>): Uint8Array {
  const { step, specDigest, packDigest, deviceClass, tensors } = checkpoint;
  const metadata = { format: CHECKPOINT_FORMAT, step: String(step), specDigest, packDigest, deviceClass };
  return codec.encode(tensors, { ...metadata, sha256: payloadDigest(codec, tensors, metadata) });
}

/**
 * The newest checkpoint of an item that is whole. Damaged ones (cut off, altered) are passed over and reported.
 * @throws InvalidCheckpoint when a whole one belongs to another spec, another pack or another version of the format.
 */
export async function newestValid<T>(
  store: ObjectStore,
  codec: CheckpointCodec<T>,
  of: { readonly run: RunId; readonly item: ItemId; readonly owner: CheckpointOwner },
): Promise<FoundCheckpoint<T>> {
  const skipped: SkippedCheckpoint[] = [];
  for (const { key, step } of await checkpointsOf(store, of.run, of.item)) {
    const path = store.locate(key);
    const bytes = await getUnlessDamaged(store, key);
    if (bytes === undefined) continue; // pruned by a second process since the listing
    const found = 'damage' in bytes ? bytes : decodeCheckpoint(codec, bytes, path);
    if ('damage' in found) skipped.push({ path, reason: found.damage });
    else if (found.step !== step) skipped.push({ path, reason: `holds step ${found.step}` });
    else return { checkpoint: ownedBy(of.owner, found, path), skipped };
  }
  return { skipped };
}

/** Deletes all but the `keep` newest. One more than the newest is worth keeping, in case the newest is damaged. */
export async function pruneCheckpoints(
  store: ObjectStore,
  of: { readonly run: RunId; readonly item: ItemId },
  keep: number,
): Promise<void> {
  const old = (await checkpointsOf(store, of.run, of.item)).slice(keep);
  for (const { key } of old) await store.delete(key);
}

/** Newest first. */
async function checkpointsOf(
  store: ObjectStore,
  run: RunId,
  item: ItemId,
): Promise<{ key: ObjectKey; step: number }[]> {
  const steps: { key: ObjectKey; step: number }[] = [];
  for (const key of await store.list(checkpointsFolder(run, item))) {
    const parsed = parseKey(key);
    if (parsed?.kind === 'checkpoint') steps.push({ key, step: parsed.step });
  }
  return steps.sort((a, b) => b.step - a.step);
}

/**
 * What a file of a checkpoint holds, or what is wrong with it.
 * @throws InvalidCheckpoint for another version of the format
 */
export function decodeCheckpoint<T>(
  codec: CheckpointCodec<T>,
  bytes: Uint8Array,
  path: string,
): Checkpoint<T> | { readonly damage: string } {
  let decoded: ReturnType<typeof codec.decode>;
  try {
    decoded = codec.decode(bytes);
  } catch (error) {
    return { damage: `cannot be read: ${isRefereeError(error) ? error.message : String(error)}` };
  }
  const format = decoded.metadata['format'];
  if (format !== undefined && format !== CHECKPOINT_FORMAT) {
    throw new RefereeError('InvalidCheckpoint', `${path}: format ${quoted(format)}, expected "${CHECKPOINT_FORMAT}"`);
  }
  const parsed = metadataSchema.safeParse(decoded.metadata);
  if (!parsed.success) return { damage: 'its metadata are not those of a checkpoint' };
  const { sha256: found, ...metadata } = parsed.data;
  const expected = payloadDigest(codec, decoded.tensors, metadata);
  if (found !== expected)
    return { damage: `its content has digest ${expected.slice(0, 12)}, not ${found.slice(0, 12)}` };
  const { specDigest, packDigest, deviceClass } = metadata;
  return { step: Number(metadata.step), specDigest, packDigest, deviceClass, tensors: decoded.tensors };
}

function ownedBy<T>(owner: CheckpointOwner, checkpoint: Checkpoint<T>, path: string): Checkpoint<T> {
  for (const [field, what] of [
    ['packDigest', 'pack'],
    ['specDigest', 'prompt, seed or settings'],
  ] as const) {
    if (checkpoint[field] === owner[field]) continue;
    const digests = `found ${checkpoint[field].slice(0, 12)}, expected ${owner[field].slice(0, 12)}`;
    throw new RefereeError('InvalidCheckpoint', `${path}: belongs to another ${what}: ${field} ${digests}`, {
      hint: 'delete that file, or choose another --store',
      details: { file: path, field },
    });
  }
  return checkpoint;
}

/** Covers tensors and metadata alike: the digest of the file as it would be without its digest. */
function payloadDigest<T>(
  codec: CheckpointCodec<T>,
  tensors: Readonly<Record<string, T>>,
  metadata: Readonly<Record<string, string>>,
): string {
  return sha256(codec.encode(tensors, metadata));
}
