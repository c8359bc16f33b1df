/**
 * @file Search models in closed form. The referee's loss of a cutout is c |z - target|^2 / 2 with a factor c made from
 * the cutout's parameters, the diffusion model believes in a clean latent of its own: every number can be worked out on
 * paper, and each lane is computed from its own rows alone.
 */
import type { AlignmentInput, LanePrompt, SearchModels } from '../../../inversion/models.ts';
import { noiseBank } from '../../../inversion/noise-bank.ts';
import { type MethodOptions, SHAPES_DEFAULTS } from '../../../inversion/options.ts';
import { alphasCumprod } from '../../../inversion/schedule.ts';

export const LATENT_SHAPE = [2, 3, 3] as const;
/**
 * Options under which the closed forms converge: the exponents cancel the a/q of e - eps = (z - belief) a/q, which
 * leaves a step of 2/9 of the way to the belief.
 */
export const TOY_DEFAULTS: MethodOptions = {
  ...SHAPES_DEFAULTS,
  alphaExponent: -1,
  sigmaExponent: 1,
  sdWeight: 1,
  sdWeightFinal: 1,
};
export const COUNT = 18;
export const SIZE = 6;
export const BANK = noiseBank(3 * SIZE * SIZE);
export const SCHEDULE = alphasCumprod({
  betaSchedule: 'scaled_linear',
  betaStart: 0.00085,
  betaEnd: 0.012,
  trainTimesteps: 1000,
});

/** A prompt whose referee wants latents of the value `target` and whose diffusion model believes in `belief`. */
export function toyPrompt(target: number, belief = 0): LanePrompt {
  return {
    contextNull: Float32Array.of(0),
    contextPrompt: Float32Array.of(belief),
    refereeIds: BigInt64Array.of(BigInt(Math.round(target * 1000))),
    refereeMask: BigInt64Array.of(1n),
    decoderIds: BigInt64Array.of(0n),
  };
}

export function targetOf(prompt: LanePrompt): number {
  return Number(prompt.refereeIds[0]!) / 1000;
}

export interface ToyModels extends SearchModels {
  /** Lanes of every call so far, by function. */
  readonly calls: { alignment: number[]; guidance: number[]; score: number[] };
}

export function toyModels(changes: Partial<SearchModels> = {}): ToyModels {
  const calls: ToyModels['calls'] = { alignment: [], guidance: [], score: [] };
  const models: SearchModels = {
    latentShape: LATENT_SHAPE,
    cutoutSize: SIZE,
    alphasCumprod: SCHEDULE,
    predictionType: 'epsilon',
    ddim: { stepsOffset: 1, setAlphaToOne: false, timestepSpacing: 'leading' },
    alignment: (input) => Promise.resolve(quadratic(input)),
    // e = (z_t - a belief) / q, the noise if the clean latent were `belief`; guidance scales the belief.
    guidance: ({ noisy, timesteps, guidance, prompts }) =>
      Promise.resolve(
        noisy.map((value, i) => {
          const lane = Math.floor(i / COUNT);
          const alpha = SCHEDULE[timesteps[lane]!]!;
          const belief = guidance[lane]! * prompts[lane]!.contextPrompt[0]!;
          return (value - Math.sqrt(alpha) * belief) / Math.sqrt(1 - alpha);
        }),
      ),
    score: ({ lanes, latents, prompts }) =>
      Promise.resolve(
        Float32Array.from({ length: lanes }, (_, lane) => {
          const own = latents.subarray(lane * COUNT, (lane + 1) * COUNT);
          return Math.exp(-own.reduce((sum, z) => sum + (z - targetOf(prompts[lane]!)) ** 2, 0) / COUNT);
        }),
      ),
    decode: (latents) => Promise.resolve(latents),
    ...changes,
  };
  return {
    ...models,
    calls,
    alignment: (input) => (calls.alignment.push(input.lanes), models.alignment(input)),
    guidance: (input) => (calls.guidance.push(input.lanes), models.guidance(input)),
    score: (input) => (calls.score.push(input.lanes), models.score(input)),
  };
}

/** c of a cutout: depends on its geometry and on its noise, as a referee's loss would. */
export function cutoutFactor({ cutouts, noiseScale, cutoutsPerLane: n }: AlignmentInput, cutout: number): number {
  const noise = noiseScale[Math.floor(cutout / n)]! * cutouts.noise2[cutout * 3 * SIZE * SIZE]!;
  return 1 + 0.25 * cutouts.affine[cutout * 9 + 1]! + 0.1 * noise;
}

export function quadratic(input: AlignmentInput) {
  const { lanes, cutoutsPerLane: n, latents, prompts, weights } = input;
  const gradient = new Float32Array(lanes * COUNT);
  const itm = new Float32Array(lanes * n);
  for (let lane = 0; lane < lanes; lane++) {
    const target = targetOf(prompts[lane]!);
    const own = latents.subarray(lane * COUNT, (lane + 1) * COUNT);
    const half = own.reduce((sum, z) => sum + (z - target) ** 2, 0) / 2;
    let factors = 0;
    for (let i = lane * n; i < (lane + 1) * n; i++) {
      const factor = cutoutFactor(input, i);
      itm[i] = factor * half;
      factors += factor / n;
    }
    own.forEach((z, i) => {
      gradient[lane * COUNT + i] = weights.vlm[lane]! * weights.itm[lane]! * factors * (z - target);
    });
  }
  return { gradient, itm, itg: new Float32Array(lanes * n) };
}
