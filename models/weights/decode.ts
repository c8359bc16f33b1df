/**
 * @file Safetensors that are in memory already, such as a checkpoint from an object store; same rules as for files.
 */
import { RefereeError, quoted } from '../../errors.ts';
import { DTYPES, type Tensor } from '../onnx/dtype.ts';
import { LENGTH_BYTES, parseHeader, parseHeaderLength, type TensorEntry } from './header.ts';

/**
 * Every tensor of a file's bytes, each in memory of its own, in the order of the header.
 *
 * @param path names the bytes in errors
 * @throws RefereeError `InvalidWeights`
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  path: string,
): { tensors: Record<string, Tensor>; metadata: Readonly<Record<string, string>> } {
  const dataStart = LENGTH_BYTES + parseHeaderLength(bytes.subarray(0, LENGTH_BYTES), bytes.length, path);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, dataStart), bytes.length, path);
  const tensors = [...header.tensors.values()].map((entry): [string, Tensor] => {
    const copy = new Uint8Array(bytes.subarray(entry.offset, entry.offset + entry.length));
    return [entry.name, decodeTensor(entry, copy, path)];
  });
  return { tensors: Object.fromEntries(tensors), metadata: header.metadata };
}

/** A tensor over its bytes, which must start aligned: a buffer of their own does. */
export function decodeTensor(
  { name, dtype, shape, length }: TensorEntry,
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
): Tensor {
  if (dtype === 'bool' && bytes.some((byte) => byte > 1)) {
    const message = `${path}: tensor ${quoted(name)}: a BOOL is neither 0 nor 1`;
    throw new RefereeError('InvalidWeights', message, { details: { file: path, tensor: name } });
  }
  return { dtype, shape, data: new DTYPES[dtype].array(bytes.buffer, 0, length / DTYPES[dtype].bytes) };
}
