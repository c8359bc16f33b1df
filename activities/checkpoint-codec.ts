/**
 * @file Checkpoints as safetensors: what the store asks for, from the room that knows the format.
 */
import { RefereeError } from '../errors.ts';
import type { Tensor } from '../models/onnx/dtype.ts';
import { decodeSafetensors } from '../models/weights/safetensors.ts';
import { writeSafetensors } from '../models/weights/write.ts';
import type { CheckpointCodec } from '../store/checkpoint.ts';

export const checkpointCodec: CheckpointCodec<Tensor> = {
  encode: (tensors, metadata) => writeSafetensors(tensors, metadata),
  decode: (bytes) => {
    try {
      return decodeSafetensors(bytes, 'checkpoint');
    } catch (cause) {
      throw new RefereeError('InvalidCheckpoint', cause instanceof Error ? cause.message : String(cause), { cause });
    }
  },
};
