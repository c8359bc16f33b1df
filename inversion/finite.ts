/** @file Values that are not finite end a search; they are never replaced. */
import { RefereeError } from '../errors.ts';

export function isFiniteArray(values: Float32Array): boolean {
  return firstNonFinite(values) < 0;
}

/** @throws RefereeError NonFinite that names the step, the quantity and the first bad element. */
export function assertFinite(values: Float32Array, step: number, what: string): void {
  const at = firstNonFinite(values);
  if (at < 0) return;
  throw new RefereeError(
    'NonFinite',
    `step ${step}: expected finite numbers in ${what}, found ${values[at]!} at element ${at}`,
    {
      details: { step },
    },
  );
}

function firstNonFinite(values: Float32Array): number {
  return values.findIndex((value) => !Number.isFinite(value));
}
