/** @file Reads the reference numbers of test/fixtures: a safetensors file whole, as named arrays with shapes. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

export class Reference {
  readonly #tensors = new Map<string, ReferenceTensor>();

  /** `path` below test/fixtures. */
  constructor(path: string) {
    const bytes = readFileSync(fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url)));
    const headerLength = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<string, HeaderEntry>;
    for (const [name, { dtype, shape, data_offsets: range }] of Object.entries(header)) {
      if (name === '__metadata__') continue;
      const [from, to] = range.map((offset) => offset + 8 + headerLength) as [number, number];
      const buffer = new Uint8Array(bytes.subarray(from, to)).buffer;
      this.#tensors.set(name, { shape, data: dtype === 'I64' ? new BigInt64Array(buffer) : new Float32Array(buffer) });
    }
  }

  get(name: string): ReferenceTensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new Error(`no tensor ${name}`);
    return tensor;
  }

  floats(name: string): Float32Array {
    return Float32Array.from(this.get(name).data, Number);
  }

  /** Entry `index` of the first axis. */
  row(name: string, index: number): Float32Array {
    const { shape } = this.get(name);
    const size = shape.slice(1).reduce((product, axis) => product * axis, 1);
    return this.floats(name).slice(index * size, (index + 1) * size);
  }
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly number[];
}

/** The largest |actual - expected| over the largest |expected|. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, expected ${expected.length}`);
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    // Not Math.max: it would lose a NaN's position but keep the NaN, which is what a comparison has to fail on.
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return largest === 0 ? difference : difference / largest;
}
