/**
 * @file A gradient held against the function along a way, for functions with kinks and for numbers of few digits. Between
 * both ends of a way f grows by the integral of its derivative, wherever f bends: the mean of v . gradient along
 * x - hv ... x + hv is (f(x + hv) - f(x - hv)) / 2h. The way may be long, so that rounding of f does not matter.
 */
import type { Tensor } from '../../models/onnx/dtype.ts';
import { roundingOf, stepsOf } from './differences.ts';
import type { Sweep } from './differences.ts';
import { dot, moved, wayBetween } from './reals.ts';

export interface PathRequest {
  readonly x: Tensor;
  readonly v: Tensor;
  /** Size of an element of x. */
  readonly scale: number;
  /** What differences found: the usual size of a derivative, and the noise of a value. */
  readonly sweep: Pick<Sweep, 'usual' | 'noise'>;
  /** The mean should be certain to this, relative to the usual size of a derivative. */
  readonly tolerance: number;
  readonly value: (x: Tensor) => Promise<number>;
  readonly gradientAt: (x: Tensor) => Promise<Tensor>;
}

export interface PathMean {
  /** Half the way, relative to the size of an element of x. */
  readonly step: number;
  /** Places at which the gradient was computed. */
  readonly points: number;
  /** Mean of v . gradient. */
  readonly gradient: number;
  /** By the values at both ends. */
  readonly differences: number;
  /** |gradient - differences| over the usual size of such a derivative. */
  readonly error: number;
  /** Of the mean and of the differences together, over the same size. */
  readonly uncertainty: number;
}

/** Halves of ways that are tried beyond the steps of differences, which kinks and curvature do not disturb here. */
const LONGER_STEPS = [1, 0.3];
/** Rounding counts with as many standard deviations; one in 370 values is further off. */
const DEVIATIONS = 3;
/** Parts of the way: the first mean, and where it ends. */
const FEWEST_PARTS = 8;
const MOST_PARTS = 256;
/** Of the tolerance: what rounding may take of it, and the change by the last halving. Both together leave a little. */
const MOST_ROUNDING = 0.6;
const MOST_CHANGE = 0.35;
/**
 * Where the mean is off by more than is allowed, but by less than BEYOND_DOUBT times as much, the way is halved further:
 * kinks that lie unevenly let a few halvings change little by chance.
 */
const CONFIRMATIONS = 2;
const BEYOND_DOUBT = 10;

/** The mean by the trapezoidal rule, with as many parts of the way as it takes for the last halving to change little. */
export async function byPath(request: PathRequest): Promise<PathMean> {
  const { x, v, scale, sweep, tolerance, value, gradientAt } = request;
  const { usual, noise } = sweep;
  const allowed = tolerance * usual;
  const step = stepFor(request);
  const h = step * scale;
  const [above, below] = [moved(x, v, h), moved(x, v, -h)];
  const way = wayBetween(below, above, 2 * h);
  const differences = ((await value(above)) - (await value(below))) / (2 * h);
  const slope = async (part: number): Promise<number> =>
    dot(way, await gradientAt(moved(x, v, h * (2 * part - 1)))).value;
  const rounding = DEVIATIONS * roundingOf(noise, h);
  let mean = ((await slope(0)) + (await slope(1))) / 2;
  let [parts, change] = [1, 0];
  const halve = async (): Promise<void> => {
    let between = 0;
    for (let at = 0; at < parts; at += 1) between += await slope((at + 0.5) / parts);
    const finer = (mean + between / parts) / 2;
    // Earlier changes count as well, halved each time: one halving may change little by chance.
    change = Math.max(Math.abs(finer - mean), change / 2);
    mean = finer;
    parts *= 2;
  };
  while (parts < FEWEST_PARTS || (parts < MOST_PARTS && change > MOST_CHANGE * allowed)) await halve();
  const isDoubtful = (): boolean => {
    const [off, bound] = [Math.abs(mean - differences), allowed + change + rounding];
    return off > bound && off <= BEYOND_DOUBT * bound;
  };
  for (let at = 0; at < CONFIRMATIONS && isDoubtful(); at += 1) await halve();
  const relative = (error: number): number => (error === 0 ? 0 : error / usual);
  return {
    step,
    points: parts + 1,
    gradient: mean,
    differences,
    error: relative(Math.abs(mean - differences)),
    uncertainty: relative(change + rounding),
  };
}

/** Half of the shortest way over which rounding does not matter; kinks are fewer on it. */
function stepFor({ x, scale, sweep: { usual, noise }, tolerance }: PathRequest): number {
  const usualSteps = stepsOf(x.dtype);
  const steps = [...LONGER_STEPS.filter((step) => step > usualSteps[0]!), ...usualSteps];
  const isLongEnough = (step: number): boolean =>
    DEVIATIONS * roundingOf(noise, step * scale) <= MOST_ROUNDING * tolerance * usual;
  return steps.findLast(isLongEnough) ?? steps[0]!;
}
