/**
 * @file Everything that depends on the step number alone, and the diffusion model's noise schedule, in float64.
 * Steps k count from 0; K is their number.
 */
import { RefereeError } from '../errors.ts';
import type { MethodOptions } from './options.ts';
import { integerBetween } from './random.ts';

/** What the diffusion model's output means: the noise eps, or the velocity a eps - q z. */
export type PredictionType = 'epsilon' | 'v_prediction';

/** Half a cosine: a before step k0, b from step k1 on, in between 1/2 (1 + cos(pi (k - k0)/(k1 - k0))) (a - b) + b. */
export function cosine(k: number, [a, b]: readonly [number, number], [k0, k1]: readonly [number, number]): number {
  if (k < k0) return a;
  if (k >= k1) return b;
  return 0.5 * (1 + Math.cos((Math.PI * (k - k0)) / (k1 - k0))) * (a - b) + b;
}

/**
 * Linear warm-up, then a cosine from `lr` towards `lrMin`. The cosine's period is K, not K - warmup, so that the last
 * step lies a little above `lrMin`: the published code does so, and results depend on it.
 */
export function learningRate(k: number, { lr, lrMin, warmup, steps }: LearningRateOptions): number {
  if (k < warmup) return ((k + 1) / warmup) * lr;
  return 0.5 * (1 + Math.cos((Math.PI * (k - warmup)) / steps)) * (lr - lrMin) + lrMin;
}

type LearningRateOptions = Pick<MethodOptions, 'lr' | 'lrMin' | 'warmup' | 'steps'>;

/** Weight of score distillation: a cosine from `sdWeight` to `sdWeightFinal` over the whole search. */
export function distillationWeight(
  k: number,
  { sdWeight, sdWeightFinal, steps }: Pick<MethodOptions, 'sdWeight' | 'sdWeightFinal' | 'steps'>,
): number {
  return cosine(k, [sdWeight, sdWeightFinal], [0, steps]);
}

/** Whether the referee takes part in step k. */
export function isRefereeStep(
  k: number,
  { method, refereeStart, refereeEnd }: Pick<MethodOptions, 'method' | 'refereeStart' | 'refereeEnd'>,
): boolean {
  return method === 'search' && k >= refereeStart && k < refereeEnd;
}

/** Whether the latent restarts from its moving average after step k. Only searches with a referee do. */
export function isRestart(
  k: number,
  {
    method,
    emaStart,
    emaRestart,
    refereeEnd,
  }: Pick<MethodOptions, 'method' | 'emaStart' | 'emaRestart' | 'refereeEnd'>,
): boolean {
  const done = k + 1;
  return method === 'search' && done >= emaStart && (done - emaStart) % emaRestart === 0 && done <= refereeEnd;
}

/** The uniform `u` of (0, 1) as a diffusion timestep in [tMin, min(tMax, trained) - 1). */
export function timestepOf(u: number, { tMin, tMax }: Pick<MethodOptions, 'tMin' | 'tMax'>, trained: number): number {
  return integerBetween(u, tMin, Math.min(tMax, trained) - 1);
}

/** The fields of a scheduler's config that make its noise schedule, with diffusers' names in camel case. */
export interface NoiseScheduleConfig {
  readonly betaSchedule: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2';
  /** Not used by `squaredcos_cap_v2`. */
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly trainTimesteps: number;
  /** Lin et al. 2023, arXiv 2305.08891: the last timestep is pure noise. */
  readonly rescaleBetasZeroSnr?: boolean;
}

/**
 * abar_t, the share of the signal's variance left at each timestep: the cumulative product of 1 - beta.
 *
 * @throws RefereeError InvalidModel for a schedule that is not a decreasing sequence in [0, 1].
 */
export function alphasCumprod(config: NoiseScheduleConfig): Float64Array {
  let product = 1;
  const cumulative = Float64Array.from(betas(config), (beta) => (product *= 1 - beta));
  const values = config.rescaleBetasZeroSnr === true ? rescaleToZeroSnr(cumulative) : cumulative;
  if (values.some((value, t) => !(value >= 0 && value <= (t === 0 ? 1 : values[t - 1]!)))) {
    throw new RefereeError(
      'InvalidModel',
      `noise schedule: expected betas between 0 and 1, found beta_start ${config.betaStart}, beta_end ${config.betaEnd}`,
    );
  }
  return values;
}

function betas({ betaSchedule, betaStart, betaEnd, trainTimesteps }: NoiseScheduleConfig): Float64Array {
  switch (betaSchedule) {
    case 'linear':
      return linspace(betaStart, betaEnd, trainTimesteps);
    case 'scaled_linear':
      return linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), trainTimesteps).map((root) => root * root);
    case 'squaredcos_cap_v2':
      // Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 17, with betas capped at 0.999.
      return Float64Array.from({ length: trainTimesteps }, (_, t) => {
        const now = squaredCosine(t / trainTimesteps);
        return Math.min(1 - squaredCosine((t + 1) / trainTimesteps) / now, 0.999);
      });
  }
}

function squaredCosine(share: number): number {
  return Math.cos((((share + 0.008) / 1.008) * Math.PI) / 2) ** 2;
}

function linspace(from: number, to: number, count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => (count === 1 ? from : from + ((to - from) * i) / (count - 1)));
}

/** sqrt(abar) shifted so that its last value is 0 and scaled so that its first stays. */
function rescaleToZeroSnr(cumulative: Float64Array): Float64Array {
  const first = Math.sqrt(cumulative[0]!);
  const last = Math.sqrt(cumulative.at(-1)!);
  return cumulative.map((value) => (((Math.sqrt(value) - last) * first) / (first - last)) ** 2);
}
