/**
 * @file TensorProto -> tensor in memory, or the byte range of another file.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { DType, Tensor, TypedArray } from './dtype.ts';
import { DTYPES, dtypeOf, elementCount } from './dtype.ts';
import { resolveLocation } from './external-data.ts';
import type { ByteRange } from './graph.ts';
import type { TensorProto } from './onnx_pb.ts';
import { TensorProto_DataLocation as DataLocation } from './onnx_pb.ts';

/** A weight of another file. */
export interface ExternalTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly external: ByteRange;
}

/** A tensor of the file. `folder`: where external data may lie; without it none may. */
export function readTensor(proto: TensorProto, where: string, folder?: string): Tensor | ExternalTensor {
  const dtype = dtypeOf(proto.dataType);
  if (!dtype) throw new RefereeError('InvalidModel', `${where}: element type ${proto.dataType} is not supported`);
  if (proto.segment) throw new RefereeError('InvalidModel', `${where}: tensors in segments are not supported`);
  const shape = proto.dims.map((dim) => sizeOf(dim, where));
  const bytes = elementCount(shape) * DTYPES[dtype].bytes;
  if (!Number.isSafeInteger(bytes)) throw new RefereeError('InvalidModel', `${where}: ${bytes} bytes are too many`);
  if (proto.dataLocation === DataLocation.EXTERNAL) {
    return { dtype, shape, external: readRange(proto, bytes, where, folder) };
  }
  return { dtype, shape, data: readData(proto, dtype, elementCount(shape), where) };
}

/** A dimension of the file: whole, not negative, small enough to count with. */
export function sizeOf(dim: bigint, where: string): number {
  if (dim < 0n || dim > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new RefereeError('InvalidModel', `${where}: found the dimension ${dim}, expected 0 or more`);
  }
  return Number(dim);
}

function readRange(proto: TensorProto, bytes: number, where: string, folder: string | undefined): ByteRange {
  if (folder === undefined) {
    throw new RefereeError(
      'InvalidModel',
      `${where}: its data lies in another file, and the model's folder is not known`,
    );
  }
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const file = resolveLocation(entries.get('location') ?? '', folder, where);
  const whole = (key: string, fallback: number): number => {
    const text = entries.get(key);
    if (text === undefined) return fallback;
    const number = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (Number.isSafeInteger(number)) return number;
    throw new RefereeError('InvalidModel', `${where}: external data has the ${key} ${quoted(text)}`);
  };
  const length = whole('length', bytes);
  if (length !== bytes) {
    throw new RefereeError('InvalidModel', `${where}: external data of ${length} bytes, its shape needs ${bytes}`);
  }
  return { file, offset: whole('offset', 0), length };
}

/** Calls of a function share its tensors: each is taken out of its message once. */
const taken = new WeakMap<TensorProto, TypedArray>();

function readData(proto: TensorProto, dtype: DType, count: number, where: string): TypedArray {
  const known = taken.get(proto);
  if (known) return known;
  const data = takeData(proto, dtype, count, where);
  taken.set(proto, data);
  return data;
}

function takeData(proto: TensorProto, dtype: DType, count: number, where: string): TypedArray {
  const { bytes, array } = DTYPES[dtype];
  const raw = proto.rawData;
  const typed = typedData(proto, dtype);
  if (raw.length > 0 || typed.length === 0) {
    if (raw.length !== count * bytes) {
      throw new RefereeError('InvalidModel', `${where}: holds ${raw.length} bytes, its shape needs ${count * bytes}`);
    }
    const isAligned = raw.byteOffset % bytes === 0 && raw.buffer instanceof ArrayBuffer;
    // Not `slice`: of Node's Buffer that is no copy.
    const own = isAligned ? raw : new Uint8Array(raw);
    return new array(own.buffer as ArrayBuffer, own.byteOffset, count);
  }
  if (typed.length !== count) {
    throw new RefereeError('InvalidModel', `${where}: holds ${typed.length} elements, its shape needs ${count}`);
  }
  const data = new array(new ArrayBuffer(count * bytes), 0, count);
  for (let at = 0; at < count; at += 1) data[at] = typed[at] as never;
  return data;
}

/** The field that holds elements of this type one by one; small types travel as int32, half precision as its bits. */
function typedData(proto: TensorProto, dtype: DType): readonly (number | bigint)[] {
  switch (dtype) {
    case 'float32':
      return proto.floatData;
    case 'float64':
      return proto.doubleData;
    case 'int64':
      return proto.int64Data;
    case 'uint64':
      return proto.uint64Data;
    case 'uint32':
      return proto.uint64Data.map(Number);
    default:
      return proto.int32Data;
  }
}
