/**
 * @file The checkpoints of one item: each is whole and of this item, and the last one holds the latent of the picture.
 */
import { isRefereeError, quoted } from '../../errors.ts';
import type { MethodOptions } from '../../inversion/options.ts';
import { readoutLatent, stateFromTensors, totalSteps } from '../../inversion/state.ts';
import type { LatentShape } from '../../inversion/state.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { decodeCheckpoint } from '../../store/checkpoint.ts';
import type { Checkpoint, CheckpointOwner } from '../../store/checkpoint.ts';
import { sha256 } from '../../store/ids.ts';
import { checkpointCodec } from '../checkpoint-codec.ts';
import { short } from './report.ts';
import type { Counts } from './report.ts';

interface CheckpointCheckSettings {
  /** Absent where the spec cannot be read. */
  readonly owner: CheckpointOwner | undefined;
  readonly options: MethodOptions | undefined;
  /** Digest of the final latent that the result names. */
  readonly latent: string | undefined;
  readonly counts: Counts;
}

export class CheckpointCheck {
  readonly #of: CheckpointCheckSettings;

  constructor(of: CheckpointCheckSettings) {
    this.#of = of;
  }

  /** What is wrong with a checkpoint, or undefined. */
  faultOf(bytes: Uint8Array, { key, step }: { readonly key: string; readonly step: number }): string | undefined {
    try {
      return this.#faultOf(decodeCheckpoint(checkpointCodec, bytes, key), step);
    } catch (error) {
      if (isRefereeError(error)) return error.message.replace(`${key}: `, '');
      throw error;
    }
  }

  #faultOf(found: Checkpoint<Tensor> | { readonly damage: string }, step: number): string | undefined {
    const { owner, options, latent, counts } = this.#of;
    if ('damage' in found) return found.damage;
    if (found.step !== step) return `holds step ${found.step}`;
    for (const field of ['specDigest', 'packDigest'] as const) {
      if (owner && found[field] !== owner[field])
        return `is of another item: ${field} ${quoted(short(found[field]))}, expected ${quoted(short(owner[field]))}`;
    }
    counts.checkpoints += 1;
    if (!options || latent === undefined || step !== totalSteps(options)) return undefined;
    const shape = found.tensors['latent']?.shape;
    if (!shape) return 'has no latent';
    const digest = latentDigest(readoutLatent(stateFromTensors(found.tensors, options, shape as LatentShape), options));
    if (digest !== latent) return `its latent has digest ${short(digest)}, result.json says ${short(latent)}`;
    counts.latents += 1;
    return undefined;
  }
}

function latentDigest({ buffer, byteOffset, byteLength }: Float32Array): string {
  return sha256(new Uint8Array(buffer, byteOffset, byteLength));
}
