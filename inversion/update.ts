/**
 * @file The update of one lane: a referee step of the size of the distillation step, then the distillation step itself.
 * Norms and coefficients are float64, each of the two lines rounds the latent to float32 once.
 */
import { RefereeError } from '../errors.ts';
import { assertFinite } from './finite.ts';
import type { MethodOptions } from './options.ts';
import { learningRate } from './schedule.ts';

/** Adam's moments of the referee step. */
export interface AdamState {
  readonly first: Float32Array;
  readonly second: Float32Array;
}

export interface UpdateInput {
  readonly latent: Float32Array;
  readonly step: number;
  readonly options: MethodOptions;
  /** g_sds */
  readonly distillation: Float32Array;
  /** xi_B */
  readonly noiseB: Float32Array;
  /** Present in the referee phase. */
  readonly referee?: RefereeGradient;
  readonly adam?: AdamState;
}

export interface RefereeGradient {
  /** g_vlm, the gradient of vlmWeight times the loss. */
  readonly gradient: Float32Array;
  /** xi_A */
  readonly noiseA: Float32Array;
}

export interface UpdateOutput {
  readonly latent: Float32Array;
  readonly adam?: AdamState;
  readonly normSds: number;
  readonly normVlm?: number;
  /** |g_sds| / |g_vlm| */
  readonly scale?: number;
  /** lr_k */
  readonly lr: number;
}

/** Euclidean norm over all elements, summed in float64. */
export function norm(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

/**
 * Referee phase: z <- z - lr_k (vlmWeight scale g_vlm + zNoise xi_A); z <- z - lr g_sds + zNoise xi_B.
 * Outside of it: z <- z - lr g_sds + zNoiseLate xi_B. The rate of the distillation step is the base rate, not lr_k.
 *
 * `vlmWeight` inside g_vlm cancels against `scale`; the one written here acts. With Adam the bracket of the first line
 * is what it takes for the gradient, at rate lr_k.
 *
 * @throws RefereeError NonFinite, ZeroGradient; both name the step.
 */
export function updateLatent(input: UpdateInput): UpdateOutput {
  const { step, options, distillation, noiseB, referee } = input;
  const lr = learningRate(step, options);
  assertFinite(distillation, step, 'the gradient of score distillation');
  const normSds = norm(distillation);
  if (referee === undefined) {
    const latent = distillationStep(input.latent, distillation, noiseB, {
      rate: options.lr,
      noise: options.zNoiseLate,
    });
    assertFinite(latent, step, 'the latent');
    return { latent, normSds, lr, ...(input.adam && { adam: input.adam }) };
  }
  assertFinite(referee.gradient, step, "the referee's gradient");
  const normVlm = norm(referee.gradient);
  if (normVlm === 0) {
    throw new RefereeError('ZeroGradient', `step ${step}: expected a gradient from the referee, found zeros only`, {
      details: { step },
    });
  }
  const scale = normSds / normVlm;
  const factor = options.vlmWeight * scale;
  const direction = referee.gradient.map((g, i) => factor * g + options.zNoise * referee.noiseA[i]!);
  const moved =
    options.optimiser === 'adam' ? adamStep(input, direction, lr) : gradientStep(input.latent, direction, lr);
  const latent = distillationStep(moved.latent, distillation, noiseB, { rate: options.lr, noise: options.zNoise });
  assertFinite(latent, step, 'the latent');
  return { ...moved, latent, normSds, normVlm, scale, lr };
}

function gradientStep(latent: Float32Array, direction: Float32Array, lr: number): { latent: Float32Array } {
  return { latent: latent.map((z, i) => z - lr * direction[i]!) };
}

function distillationStep(
  latent: Float32Array,
  gradient: Float32Array,
  noiseB: Float32Array,
  { rate, noise }: { rate: number; noise: number },
): Float32Array {
  return latent.map((z, i) => z - rate * gradient[i]! + noise * noiseB[i]!);
}

/** Kingma and Ba 2015, arXiv 1412.6980, algorithm 1; the count of its steps starts with the referee phase. */
function adamStep({ latent, step, options, adam }: UpdateInput, direction: Float32Array, lr: number) {
  const { adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: epsilon } = options;
  const count = step - options.refereeStart + 1;
  const first = direction.map((g, i) => beta1 * (adam?.first[i] ?? 0) + (1 - beta1) * g);
  const second = direction.map((g, i) => beta2 * (adam?.second[i] ?? 0) + (1 - beta2) * g * g);
  const correction1 = 1 - beta1 ** count;
  const correction2 = 1 - beta2 ** count;
  const moved = latent.map((z, i) => {
    return z - (lr * (first[i]! / correction1)) / (Math.sqrt(second[i]! / correction2) + epsilon);
  });
  return { latent: moved, adam: { first, second } };
}
