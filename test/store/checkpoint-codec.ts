/** @file The codec that checkpoints have in real life, over the writer and the header reader of models/weights. */
import { DTYPES, elementCount } from '../../models/onnx/dtype.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { LENGTH_BYTES, parseHeader } from '../../models/weights/header.ts';
import { writeSafetensors } from '../../models/weights/write.ts';
import type { CheckpointCodec } from '../../store/checkpoint.ts';

export const safetensorsCodec: CheckpointCodec<Tensor> = {
  encode: (tensors, metadata) => writeSafetensors(tensors, metadata),
  decode: (bytes) => {
    if (bytes.length < LENGTH_BYTES) throw new Error(`${bytes.length} bytes`);
    const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const header = parseHeader(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + headerBytes), bytes.length, 'checkpoint');
    const tensors: Record<string, Tensor> = {};
    for (const { name, dtype, shape, offset, length } of header.tensors.values()) {
      const data = new DTYPES[dtype].array(bytes.slice(offset, offset + length).buffer, 0, elementCount(shape));
      tensors[name] = { dtype, shape, data };
    }
    return { tensors, metadata: header.metadata };
  },
};
