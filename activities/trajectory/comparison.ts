/**
 * @file Differences between recorded and computed tensors, and what is allowed of them.
 */
import { RefereeError } from '../../errors.ts';

export interface Compared {
  /** Recorded name, such as "z", "step0.affine". */
  readonly quantity: string;
  /** `step`: from the recorded state before the step; `free`: from our own; `once`: not of a step. */
  readonly mode: 'once' | 'step' | 'free';
  readonly step?: number;
  readonly maxAbs: number;
  /** `maxAbs` over the largest recorded magnitude. */
  readonly maxRel: number;
  /** What another float32 program differs by, where the recording's index says so; absolute. */
  readonly stated?: number;
  /** Absolute. */
  readonly allowed: number;
  readonly ok: boolean;
}

/** Of an allowed error over a stated one: another order of sums is another float32 program. */
const TIMES_STATED = 10;
/** Relative to the largest magnitude, where nothing is stated: ten times what recordings of small models state; errors of a free run grow. */
const RTOL = { once: 5e-5, step: 5e-5, free: 1e-3 } as const;
/** Spacing of float32 at 1: recorded values are rounded to it. */
const EPSILON = 2 ** -23;

export interface Comparison {
  readonly quantity: string;
  readonly mode: Compared['mode'];
  readonly step?: number;
  readonly stated?: number | undefined;
}

export function compare(of: Comparison, expected: Float32Array, found: Float32Array): Compared {
  const { quantity, mode, step, stated } = of;
  if (expected.length !== found.length) {
    throw new RefereeError(
      'InvalidInput',
      `${quantity}: ${expected.length} values are recorded, the models make ${found.length}`,
    );
  }
  let maxAbs = 0;
  let largest = 0;
  expected.forEach((value, at) => {
    const difference = Math.abs(found[at]! - value);
    // A NaN is the largest error there is.
    maxAbs = difference >= 0 ? Math.max(maxAbs, difference) : Infinity;
    largest = Math.max(largest, Math.abs(value));
  });
  const rounding = 2 * EPSILON * largest;
  const allowed = Math.max(stated === undefined ? RTOL[mode] * largest : TIMES_STATED * stated, rounding);
  return {
    quantity,
    mode,
    ...(step !== undefined && { step }),
    maxAbs,
    maxRel: largest === 0 ? maxAbs : maxAbs / largest,
    ...(stated !== undefined && { stated }),
    allowed,
    ok: maxAbs <= allowed,
  };
}
