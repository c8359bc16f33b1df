/**
 * @file Writing safetensors: the same tensors and metadata give the same bytes, in whatever order they come.
 */
import { RefereeError, quoted } from '../../errors.ts';
import { DTYPES, elementCount, type Tensor } from '../onnx/dtype.ts';
import { SAFETENSORS_NAMES } from './dtype.ts';
import { LENGTH_BYTES } from './header.ts';

/** The header is padded so that data starts at a multiple of this, as the reference implementation does. */
const ALIGNMENT = 8;

/**
 * A whole file in memory. Tensors are written by size of their elements, largest first, then by name, so that every
 * tensor is aligned; metadata by key.
 *
 * @throws RefereeError `InvalidWeights` for an empty or reserved name, or data that do not fill the shape
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const entries: [string, Tensor][] = isMap(tensors) ? [...tensors] : Object.entries(tensors);
  entries.forEach(([name, tensor]) => checkTensor(name, tensor));
  entries.sort(([nameA, a], [nameB, b]) => DTYPES[b.dtype].bytes - DTYPES[a.dtype].bytes || compareText(nameA, nameB));

  const header = new TextEncoder().encode(headerText(entries, metadata));
  const headerBytes = Math.ceil(header.length / ALIGNMENT) * ALIGNMENT;
  const dataBytes = entries.reduce((sum, [, { data }]) => sum + data.byteLength, 0);
  const file = new Uint8Array(LENGTH_BYTES + headerBytes + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, LENGTH_BYTES, LENGTH_BYTES + headerBytes);
  file.set(header, LENGTH_BYTES);
  let at = LENGTH_BYTES + headerBytes;
  for (const [, { data }] of entries) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/** `instanceof` alone would not narrow to a map of tensors. */
function isMap(
  tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>,
): tensors is ReadonlyMap<string, Tensor> {
  return tensors instanceof Map;
}

function headerText(entries: readonly [string, Tensor][], metadata: Readonly<Record<string, string>>): string {
  const fields: string[] = [];
  const pairs = Object.entries(metadata).sort(([a], [b]) => compareText(a, b));
  if (pairs.length > 0)
    fields.push(`"__metadata__":${objectText(pairs.map(([key, text]) => [key, JSON.stringify(text)]))}`);
  let at = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    const end = at + data.byteLength;
    const entry = { dtype: SAFETENSORS_NAMES.get(dtype), shape, data_offsets: [at, end] };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    at = end;
  }
  return `{${fields.join(',')}}`;
}

/** By hand, since an object would move keys that look like numbers to its front. */
function objectText(pairs: readonly (readonly [string, string])[]): string {
  return `{${pairs.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`;
}

function checkTensor(name: string, { shape, data }: Tensor): void {
  if (name === '' || name === '__metadata__') {
    throw new RefereeError('InvalidWeights', `a tensor is named ${quoted(name)}, expected another name`);
  }
  if (elementCount(shape) !== data.length) {
    const found = `${data.length} elements for shape ${quoted(shape)}`;
    throw new RefereeError('InvalidWeights', `tensor ${quoted(name)}: ${found}, expected ${elementCount(shape)}`);
  }
}

/** By code unit: the same everywhere, unlike a locale's order. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
