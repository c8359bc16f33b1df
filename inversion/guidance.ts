/**
 * @file Score distillation outside of the UNet: the noisy latent that goes in, the gradient that comes out. Poole et al.
 * 2022, arXiv 2209.14988, eq. 3, with classifier-free guidance inside the model call and weights as the published code.
 */
import type { MethodOptions } from './options.ts';
import type { PredictionType } from './schedule.ts';

/** a = sqrt(abar_t), q = sqrt(1 - abar_t). */
export interface Diffusion {
  readonly a: number;
  readonly q: number;
}

export function diffusionAt(alphaCumprod: number): Diffusion {
  return { a: Math.sqrt(alphaCumprod), q: Math.sqrt(1 - alphaCumprod) };
}

/** z_t = a z + q eps. */
export function noisyLatent(latent: Float32Array, noise: Float32Array, { a, q }: Diffusion): Float32Array {
  return latent.map((z, i) => a * z + q * noise[i]!);
}

/** w_t = 2 a^alphaExponent q^sigmaExponent. */
export function timestepWeight(
  { a, q }: Diffusion,
  { alphaExponent, sigmaExponent }: Pick<MethodOptions, 'alphaExponent' | 'sigmaExponent'>,
): number {
  return 2 * a ** alphaExponent * q ** sigmaExponent;
}

export interface DistillationInput {
  /** The model's guided output, in its own prediction type. */
  readonly output: Float32Array;
  readonly predictionType: PredictionType;
  readonly noisy: Float32Array;
  readonly noise: Float32Array;
  readonly diffusion: Diffusion;
  /** sd_weight_k w_t */
  readonly weight: number;
  /** h w of the latent. Dividing by it is the published code's; smaller latents need a smaller weight for it. */
  readonly area: number;
}

/**
 * g_sds = weight (e - eps) / (h w), where e is the noise that the output stands for: the output itself, or a v + q z_t.
 * Guidance mixes with coefficients that sum to 1, so the guided velocity gives the guided noise.
 */
export function distillationGradient(input: DistillationInput): Float32Array {
  const { output, predictionType, noisy, noise, diffusion, weight, area } = input;
  const { a, q } = diffusion;
  const factor = weight / area;
  return predictionType === 'epsilon'
    ? output.map((e, i) => factor * (e - noise[i]!))
    : output.map((v, i) => factor * (a * v + q * noisy[i]! - noise[i]!));
}
