/**
 * @file Case `index` of a seed: always the same file.
 */
import { damageBytes } from './damage-bytes.ts';
import { damageFields } from './damage-fields.ts';
import { GROWN } from './grown.ts';
import { Random } from './random.ts';
import { seedModels } from './seeds.ts';

export interface HostileCase {
  readonly bytes: Uint8Array;
  /** The model or structure it is made of, and how it was hurt. */
  readonly kind: string;
}

/** Of a hundred cases: so many are structures that grow, so many have damaged bytes; the others have damaged fields. */
const SHARES = { grown: 1, bytes: 34 };

export function hostileCase(seed: number, index: number): HostileCase {
  const random = new Random(seed, index);
  const share = random.below(100);
  if (share < SHARES.grown) {
    const [name, grow] = random.pick(GROWN);
    return { bytes: grow(random), kind: name };
  }
  const models = seedModels();
  const [name, bytes] = random.pick(models);
  const [, donor] = random.pick(models);
  const fields = share < SHARES.grown + SHARES.bytes ? undefined : damageFields(bytes, random, donor);
  return fields
    ? { bytes: fields, kind: `${name}, fields` }
    : { bytes: damageBytes(bytes, random, donor), kind: `${name}, bytes` };
}
