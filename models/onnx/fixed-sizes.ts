/**
 * @file Sizes that whoever reads a model gives to dimensions that the file leaves open.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { DType, Tensor } from './dtype.ts';
import { DTYPES, isFloat } from './dtype.ts';
import type { Dim } from './shapes.ts';
import { dimProduct, symbolFrom } from './shapes.ts';

export class FixedSizes {
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #used = new Set<string>();
  /** Names that could have been given. */
  readonly #known = new Set<string>();

  /** By symbol ("W"), or by input and axis ("image.3"). */
  constructor(sizes: Readonly<Record<string, number>>) {
    this.#sizes = new Map(Object.entries(sizes));
    for (const [name, size] of this.#sizes) {
      if (Number.isSafeInteger(size) && size >= 0) continue;
      throw new RefereeError('InvalidInput', `size of ${quoted(name)}: found ${size}, expected a whole number`);
    }
  }

  /** The dimension that a file calls so, or undefined where nothing is given of it. A product ("2*W") needs its factors. */
  ofSymbol(name: string): Dim | undefined {
    const whole = this.#given(name);
    if (whole !== undefined) return whole;
    const dim = symbolFrom(name);
    if (typeof dim !== 'string' || !dim.includes('*')) return undefined;
    return dimProduct(
      dim.split('*').map((factor) => (/^\d+$/.test(factor) ? Number(factor) : (this.#given(factor) ?? factor))),
    );
  }

  /** The size of an axis of an input: `dim` where it is a number already, or nothing is given. */
  ofAxis(input: string, axis: number, dim: Dim): Dim {
    return typeof dim === 'number' ? dim : (this.#given(`${input}.${axis}`) ?? dim);
  }

  /** The value of an input that is a single whole number or truth value, where one is given. */
  ofInput(name: string, dtype: DType, shape: readonly Dim[]): Tensor | undefined {
    if (isFloat(dtype) || !shape.every((dim) => dim === 1)) return undefined;
    const value = this.#given(name);
    if (value === undefined) return undefined;
    const { array, bytes } = DTYPES[dtype];
    const data = new array(new ArrayBuffer(bytes), 0, 1);
    data[0] = data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(value) : value;
    if (Number(data[0]) === value && (dtype !== 'bool' || value < 2)) return { dtype, shape: shape.map(() => 1), data };
    throw new RefereeError('InvalidInput', `value of ${quoted(name)}: found ${value}, which ${dtype} does not hold`);
  }

  /** @throws RefereeError for a size of something that the model does not have */
  checkUsed(): void {
    const unused = [...this.#sizes.keys()].find((name) => !this.#used.has(name));
    if (unused === undefined) return;
    const known = [...this.#known].slice(0, 8).join(', ');
    throw new RefereeError(
      'InvalidInput',
      `no open dimension is called ${quoted(unused)}, there are ${known === '' ? 'none' : known}`,
    );
  }

  #given(name: string): number | undefined {
    const size = this.#sizes.get(name);
    if (size !== undefined) this.#used.add(name);
    else if (name !== '') this.#known.add(name);
    return size;
  }
}
