/**
 * @file The header of a safetensors file, checked against every rule of the format
 * (https://huggingface.co/docs/safetensors/index#format). A header is a stranger's data: it is read by a small parser of
 * exactly its grammar, so that depth, duplicate keys and odd numbers are refused while reading, in one pass.
 */
import { RefereeError, quoted } from '../../errors.ts';
import { elementCount, type DType } from '../onnx/dtype.ts';
import { SAFETENSORS_DTYPES } from './dtype.ts';
import { JsonReader } from './json-reader.ts';

/** Limit of the format itself. */
export const MAX_HEADER_BYTES = 100_000_000;
/** Limits of this reader, far above any checkpoint: they bound the memory that a hostile header can claim. */
export const MAX_TENSORS = 200_000;
const MAX_RANK = 64;

export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Of the first byte, counted from the start of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** A file starts with the length of its header, a whole number of 64 bits, least significant byte first. */
export const LENGTH_BYTES = 8;

/**
 * Length of the header, refused before anything of that size is allocated.
 *
 * @param start the first eight bytes of the file
 * @throws RefereeError `InvalidWeights`
 */
export function parseHeaderLength(start: Uint8Array, fileBytes: number, path: string): number {
  const fail = failing(path);
  if (fileBytes < LENGTH_BYTES) fail(`file has ${fileBytes} bytes, expected a safetensors file of at least 8`);
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) fail(`header length is ${length}, expected at most ${MAX_HEADER_BYTES} bytes`);
  if (length > BigInt(fileBytes - LENGTH_BYTES))
    fail(`header length is ${length}, but the file has ${fileBytes} bytes`);
  return Number(length);
}

/**
 * Parses the header's JSON.
 *
 * @param bytes the header without its length
 * @param fileBytes size of the whole file
 * @param path names the file in errors
 * @throws RefereeError `InvalidWeights`
 */
export function parseHeader(bytes: Uint8Array, fileBytes: number, path: string): SafetensorsHeader {
  const fail = failing(path);
  if (bytes[0] !== 0x7b) fail(`header starts with byte ${bytes[0] ?? 'none'}, expected "{"`);
  const reader = new JsonReader(decodeUtf8(bytes, fail), fail);
  const dataStart = LENGTH_BYTES + bytes.length;
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  reader.object('header', (name) => {
    if (name === '__metadata__') {
      metadata = readMetadata(reader);
      return;
    }
    if (name === '') fail('a tensor has an empty name, expected at least one character');
    if (tensors.size === MAX_TENSORS)
      fail(`header lists more than ${MAX_TENSORS} tensors, the most that referee reads`);
    tensors.set(name, readEntry(reader, name, dataStart));
  });
  reader.end();
  checkCoverage(tensors, { dataStart, fileBytes }, fail);
  return { metadata, tensors };
}

function failing(path: string): (message: string) => never {
  return (message) => {
    throw new RefereeError('InvalidWeights', `${path}: ${message}`, { details: { file: path } });
  };
}

function decodeUtf8(bytes: Uint8Array, fail: (message: string) => never): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return fail('header is not valid UTF-8');
  }
}

function readMetadata(reader: JsonReader): Record<string, string> {
  const entries: [string, string][] = [];
  reader.object('__metadata__', (key) => {
    entries.push([key, reader.string(`__metadata__ ${quoted(key)}`)]);
  });
  // fromEntries defines own properties, also one named __proto__.
  return Object.fromEntries(entries);
}

function readEntry(reader: JsonReader, name: string, dataStart: number): TensorEntry {
  const where = `tensor ${quoted(name)}`;
  let dtypeName: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  reader.object(where, (key) => {
    if (key === 'dtype') dtypeName = reader.string(`${where}: dtype`);
    else if (key === 'shape') shape = reader.wholeNumbers(`${where}: shape`, MAX_RANK);
    else if (key === 'data_offsets') offsets = reader.wholeNumbers(`${where}: data_offsets`, 2);
    else reader.fail(`${where}: unknown key ${quoted(key)}, expected dtype, shape, data_offsets`);
  });
  if (dtypeName === undefined || shape === undefined || offsets === undefined) {
    const missing = dtypeName === undefined ? 'dtype' : shape === undefined ? 'shape' : 'data_offsets';
    return reader.fail(`${where}: ${missing} is missing`);
  }
  const info = SAFETENSORS_DTYPES.get(dtypeName);
  if (info === undefined) {
    const known = [...SAFETENSORS_DTYPES.keys()].join(', ');
    return reader.fail(`${where}: dtype ${quoted(dtypeName)} is not one that referee reads: ${known}`);
  }
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined) {
    return reader.fail(`${where}: data_offsets has ${offsets.length} numbers, expected 2`);
  }
  if (end < begin) reader.fail(`${where}: data_offsets [${begin}, ${end}] end before they begin`);
  const expected = byteLength(shape, info.bytes);
  if (!Number.isSafeInteger(expected)) {
    reader.fail(`${where}: shape ${quoted(shape)} has more elements than can be counted`);
  }
  if (end - begin !== expected) {
    const found = `data_offsets [${begin}, ${end}] hold ${end - begin} bytes`;
    reader.fail(`${where}: ${found}, expected ${expected} for ${dtypeName} ${quoted(shape)}`);
  }
  return { name, dtype: info.dtype, shape, offset: dataStart + begin, length: end - begin };
}

/** Not a safe integer if any partial product is not: a zero further on does not excuse an absurd shape. */
function byteLength(shape: readonly number[], elementBytes: number): number {
  const isCountable = Number.isSafeInteger(elementCount(shape.map((size) => Math.max(size, 1))) * elementBytes);
  return isCountable ? elementCount(shape) * elementBytes : Number.NaN;
}

/** Tensors follow one another without gap or overlap, from the end of the header to the end of the file. */
function checkCoverage(
  tensors: ReadonlyMap<string, TensorEntry>,
  { dataStart, fileBytes }: { dataStart: number; fileBytes: number },
  fail: (message: string) => never,
): void {
  const inOrder = [...tensors.values()].sort((a, b) => a.offset - b.offset || a.length - b.length);
  let at = dataStart;
  for (const { name, offset, length } of inOrder) {
    if (offset !== at) {
      const problem = offset < at ? 'overlaps the tensor before it' : 'leaves a gap before it';
      fail(
        `tensor ${quoted(name)}: data begins at byte ${offset - dataStart} and ${problem}, expected ${at - dataStart}`,
      );
    }
    at = offset + length;
    if (at > fileBytes) {
      fail(`tensor ${quoted(name)}: data ends at byte ${at} of the file, which has ${fileBytes}: cut short?`);
    }
  }
  if (at !== fileBytes) fail(`tensors end at byte ${at}, expected the end of the file, ${fileBytes}`);
}
