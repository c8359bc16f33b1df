/**
 * @file Reads safetensors files of `test/fixtures` whole: small, trusted files. Written apart from `models/weights`, so
 * that one does not vouch for the other.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import type { DType, Tensor } from '../../models/onnx/dtype.ts';
import { DTYPES, elementCount } from '../../models/onnx/dtype.ts';

export interface Fixture {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const TYPES: Readonly<Record<string, DType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};

/** Absolute path of a file below `test/fixtures`. */
export function fixturePath(path: string): string {
  return fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
}

/** Tensors and metadata of a safetensors file; `path` is absolute or below `test/fixtures`. */
export function readFixture(path: string): Fixture {
  const bytes = readFileSync(path.startsWith('/') ? path : fixturePath(path));
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<string, HeaderEntry>;
  const { __metadata__: metadata = {}, ...entries } = header as unknown as Record<string, HeaderEntry> & {
    __metadata__?: Record<string, string>;
  };
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype: type, shape, data_offsets: offsets }] of Object.entries(entries)) {
    const dtype = TYPES[type];
    if (!dtype) throw new Error(`${path}: tensor ${name} has the type ${type}`);
    // A copy starts at an aligned address.
    const own = new Uint8Array(bytes.subarray(8 + headerLength + offsets[0], 8 + headerLength + offsets[1]));
    tensors.set(name, { dtype, shape, data: new DTYPES[dtype].array(own.buffer, 0, elementCount(shape)) });
  }
  return { metadata, tensors };
}

/** The tensor of that name, which the fixture must have. */
export function tensorOf(fixture: Fixture, name: string): Tensor {
  const tensor = fixture.tensors.get(name);
  if (!tensor) throw new Error(`the fixture has no tensor ${name}, only ${[...fixture.tensors.keys()].join(', ')}`);
  return tensor;
}

/** Tensors whose names begin with `prefix`, under the rest of their names. */
export function tensorsBelow(fixture: Fixture, prefix: string): Record<string, Tensor> {
  const below = [...fixture.tensors].filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(below.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
