/**
 * @file What a search leaves in the store while it runs, and what it finds there when it goes on: checkpoints, the trace,
 * previews. The trace is written before the checkpoint it leads to, so a checkpoint never lacks its rows.
 */
import type { StepReport } from '../inversion/events.ts';
import type { LaneState, LatentShape } from '../inversion/state.ts';
import { stateFromTensors, stateToTensors } from '../inversion/state.ts';
import type { Tensor } from '../models/onnx/dtype.ts';
import { newestValid, pruneCheckpoints, writeCheckpoint } from '../store/checkpoint.ts';
import type { SkippedCheckpoint } from '../store/checkpoint.ts';
import { itemKey } from '../store/layout.ts';
import type { RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { toRgb8 } from '../store/pixels.ts';
import { provenanceText } from '../store/provenance.ts';
import type { Provenance } from '../store/provenance.ts';
import { readTrace, writePreview, writeTrace } from '../store/run.ts';
import { checkpointCodec } from './checkpoint-codec.ts';
import type { ItemSpec } from './specs.ts';

/** Newest checkpoints that are kept: one more than needed, in case the newest is damaged. */
const KEPT_CHECKPOINTS = 2;

export interface ItemPlace {
  readonly store: ObjectStore;
  readonly run: RunId;
  readonly packDigest: string;
  readonly deviceClass: string;
  readonly latentShape: LatentShape;
}

/** Work so far, over all processes that took part. */
export interface Effort {
  readonly attempts: number;
  readonly seconds: number;
}

export interface Resumed {
  /** Absent where the search begins. */
  readonly state?: LaneState;
  readonly trace: Record<string, unknown>[];
  readonly effort: Effort;
  /** Damaged checkpoints that were passed over. */
  readonly skipped: readonly SkippedCheckpoint[];
}

/** The newest whole checkpoint of an item, with the rows of the trace that lead to it. */
export async function resumeItem(place: ItemPlace, { item, digest, options }: ItemSpec): Promise<Resumed> {
  const { store, run, packDigest, latentShape } = place;
  const owner = { specDigest: digest, packDigest };
  const { checkpoint, skipped } = await newestValid(store, checkpointCodec, { run, item, owner });
  if (!checkpoint) return { trace: [], effort: { attempts: 0, seconds: 0 }, skipped };
  const { tensors, step } = checkpoint;
  const kept = tensors['trace'];
  const rows = kept ? rowsFrom(kept) : (await readTrace(store, run, item)).filter((row) => Number(row['step']) < step);
  // Of an earlier version, whose checkpoints are without their rows.
  if (rows.length < step) {
    const reason = `its trace has ${rows.length} of ${step} rows`;
    const path = store.locate(itemKey(run, item, 'trace.jsonl'));
    return { trace: [], effort: { attempts: 0, seconds: 0 }, skipped: [...skipped, { path, reason }] };
  }
  return {
    state: stateFromTensors(tensors, options, latentShape),
    trace: rows,
    effort: { attempts: Number(tensors['attempts']?.data[0] ?? 0), seconds: Number(tensors['seconds']?.data[0] ?? 0) },
    skipped,
  };
}

export interface Saved {
  readonly state: LaneState;
  readonly trace: readonly Record<string, unknown>[];
  readonly effort: Effort;
}

/** Trace, then checkpoint with the same rows, then the removal of old ones. Returns where the checkpoint is. */
export async function saveItem(
  place: ItemPlace,
  { item, digest }: ItemSpec,
  { state, trace, effort }: Saved,
): Promise<string> {
  const { store, run, packDigest, deviceClass, latentShape } = place;
  await writeTrace(store, { run, item }, trace);
  const tensors: Record<string, Tensor> = {
    ...stateToTensors(state, latentShape),
    attempts: { dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(effort.attempts)) },
    seconds: { dtype: 'float64', shape: [], data: Float64Array.of(effort.seconds) },
    trace: rowsTensor(trace),
  };
  const checkpoint = { step: state.step, specDigest: digest, packDigest, deviceClass, tensors };
  const key = await writeCheckpoint(store, checkpointCodec, { run, item, checkpoint });
  await pruneCheckpoints(store, { run, item }, KEPT_CHECKPOINTS);
  return store.locate(key);
}

/**
 * The rows that lead to a checkpoint are in it: `trace.jsonl` is replaced at every checkpoint, and a late write of an
 * attempt that was given up, or a server that dies while it replaces it, must not leave a search without its beginning.
 */
function rowsTensor(rows: readonly Record<string, unknown>[]): Tensor {
  const data = new TextEncoder().encode(rows.map((row) => JSON.stringify(row)).join('\n'));
  return { dtype: 'uint8', shape: [data.length], data };
}

function rowsFrom({ data }: Tensor): Record<string, unknown>[] {
  const lines = new TextDecoder().decode(data).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A line of the trace: numbers of one step, nothing that a second run of it would not find again. */
export function traceRow(report: StepReport): Record<string, unknown> {
  if (report.kind === 'sample') {
    const { step, candidate, timestep, score } = report;
    return { step, candidate, timestep, ...(score !== undefined && { score: rounded(score) }) };
  }
  const { step, timestep, lr, sdWeight, normSds, losses, normVlm, scale, isRestart } = report;
  return {
    step,
    timestep,
    lr: rounded(lr),
    sdWeight: rounded(sdWeight),
    normSds: rounded(normSds),
    ...(losses && {
      itm: rounded(losses.itm),
      itg: rounded(losses.itg),
      ...(losses.itc !== undefined && { itc: rounded(losses.itc) }),
      loss: rounded(losses.total),
    }),
    ...(normVlm !== undefined && { normVlm: rounded(normVlm) }),
    ...(scale !== undefined && { scale: rounded(scale) }),
    ...(isRestart && { restart: true }),
  };
}

/** Six digits are what a curve needs; a row stays short. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

/** Previews are dense early, when the picture changes most: after 1, 2, 4, 8 ... steps. */
export function isPreviewStep(step: number): boolean {
  return step > 0 && (step & (step - 1)) === 0;
}

/** pixels01 [3, H, W] of one picture. Returns where the preview is. */
export async function savePreview(
  place: ItemPlace,
  { item, step }: { readonly item: ItemSpec['item']; readonly step: number },
  picture: {
    readonly pixels01: Float32Array;
    readonly height: number;
    readonly width: number;
    readonly provenance: Provenance;
  },
): Promise<string> {
  const { encodeWebp } = await import('../store/webp.ts');
  const rgb = toRgb8(picture.pixels01, picture.width, picture.height);
  const xmp = provenanceText(picture.provenance)['XML:com.adobe.xmp']!;
  const key = await writePreview(place.store, { run: place.run, item, step }, await encodeWebp(rgb, xmp));
  return place.store.locate(key);
}
