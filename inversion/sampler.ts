/**
 * @file DDIM sampling (Song et al. 2021, arXiv 2010.02502, eq. 12 with eta 0) as a table of coefficients: every step is
 * z <- sampleCoefficient z + modelCoefficient o, o the model's guided output. Timesteps are counted as diffusers does.
 */
import { quoted, RefereeError } from '../errors.ts';
import type { PredictionType } from './schedule.ts';

/** How a scheduler's config places its timesteps. */
export interface DdimConvention {
  /** `steps_offset`: added to `leading` timesteps; 1 for Stable Diffusion. */
  readonly stepsOffset: number;
  /** `set_alpha_to_one`: whether the step below timestep 0 lands on abar = 1 or on the schedule's first value. */
  readonly setAlphaToOne: boolean;
  readonly timestepSpacing: 'leading' | 'trailing' | 'linspace';
}

export interface DdimStep {
  readonly timestep: number;
  /** Negative in the last step of most conventions. */
  readonly previousTimestep: number;
  /** abar at `timestep`, and at the timestep that the step leads to. */
  readonly alphaCumprod: number;
  readonly previousAlphaCumprod: number;
  readonly sampleCoefficient: number;
  readonly modelCoefficient: number;
}

export interface DdimSettings {
  /** One value per training timestep. */
  readonly alphasCumprod: Float64Array;
  readonly predictionType: PredictionType;
  readonly convention: DdimConvention;
  readonly steps: number;
}

/**
 * All steps from noise to picture.
 *
 * With a = sqrt(abar), q = sqrt(1 - abar), primes for the previous timestep, and the model's output o:
 * epsilon: z0 = (z - q o)/a, z' = a' z0 + q' o; velocity: z0 = a z - q o, e = a o + q z, z' = a' z0 + q' e.
 *
 * @throws RefereeError InvalidOption if there are more steps than the schedule has timesteps for.
 */
export function ddimSteps({ alphasCumprod, predictionType, convention, steps }: DdimSettings): DdimStep[] {
  const trained = alphasCumprod.length;
  const timesteps = ddimTimesteps(trained, steps, convention);
  if (steps > trained || timesteps.some((t) => t < 0 || t >= trained)) {
    const limit = convention.timestepSpacing === 'leading' ? trained - convention.stepsOffset : trained;
    throw new RefereeError(
      'InvalidOption',
      `sampleSteps: expected at most ${limit} for this schedule, found ${quoted(steps)}`,
    );
  }
  const stride = Math.floor(trained / steps);
  const final = convention.setAlphaToOne ? 1 : alphasCumprod[0]!;
  return timesteps.map((timestep) => {
    const previousTimestep = timestep - stride;
    const alphaCumprod = alphasCumprod[timestep]!;
    const previousAlphaCumprod = previousTimestep >= 0 ? alphasCumprod[previousTimestep]! : final;
    const coefficients = ddimCoefficients(alphaCumprod, previousAlphaCumprod, predictionType);
    return { timestep, previousTimestep, alphaCumprod, previousAlphaCumprod, ...coefficients };
  });
}

function ddimCoefficients(alphaCumprod: number, previousAlphaCumprod: number, predictionType: PredictionType) {
  const a = Math.sqrt(alphaCumprod);
  const q = Math.sqrt(1 - alphaCumprod);
  const previousA = Math.sqrt(previousAlphaCumprod);
  const previousQ = Math.sqrt(1 - previousAlphaCumprod);
  return predictionType === 'epsilon'
    ? { sampleCoefficient: previousA / a, modelCoefficient: previousQ - (previousA * q) / a }
    : { sampleCoefficient: previousA * a + previousQ * q, modelCoefficient: previousQ * a - previousA * q };
}

/** Timesteps from the noisiest to the cleanest. */
function ddimTimesteps(trained: number, steps: number, { timestepSpacing, stepsOffset }: DdimConvention): number[] {
  const ascending = Array.from({ length: steps }, (_, i) => i);
  switch (timestepSpacing) {
    case 'leading':
      return ascending.map((i) => i * Math.floor(trained / steps) + stepsOffset).reverse();
    case 'trailing':
      return ascending.map((i) => roundHalfEven(trained - (i * trained) / steps) - 1);
    case 'linspace':
      return ascending.map((i) => (steps === 1 ? 0 : roundHalfEven((i * (trained - 1)) / (steps - 1)))).reverse();
  }
}

/** numpy's rounding. */
function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return Math.abs(x % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
