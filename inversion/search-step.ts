/** @file One step of one lane of search or distil, in the two halves that lie before and after the calls of the models. */
import { quoted, RefereeError } from '../errors.ts';
import type { AlignmentResult, AlignmentRow } from './alignment.ts';
import { movingAverage } from './average.ts';
import type { LossReport, SearchReport } from './events.ts';
import { assertFinite } from './finite.ts';
import { type Diffusion, diffusionAt, distillationGradient, noisyLatent, timestepWeight } from './guidance.ts';
import type { GuidanceRow, StepLane } from './lane.ts';
import type { SearchModels } from './models.ts';
import type { MethodOptions } from './options.ts';
import { distillationWeight, isRefereeStep, isRestart } from './schedule.ts';
import type { SearchState } from './state.ts';
import { updateLatent } from './update.ts';

/** What the second half needs to remember of the first. */
export interface SearchDraw extends GuidanceRow {
  readonly noise: Float32Array;
  readonly diffusion: Diffusion;
}

/** Draws timestep and noise of the lane's next step: what to ask of the diffusion model. */
export function drawDistillation(lane: StepLane, state: SearchState, models: SearchModels): SearchDraw {
  const { options, noise: choices } = lane;
  const timestep = choices.timestep(state.step, options, models.alphasCumprod.length);
  const diffusion = diffusionAt(models.alphasCumprod[timestep]!);
  const noise = choices.distillation(state.step, state.latent.length);
  const noisy = noisyLatent(state.latent, noise, diffusion);
  return { noisy, timestep, guidance: options.guidance, noise, diffusion };
}

/** What to ask of the referee; undefined outside of its phase. */
export function drawAlignment(lane: StepLane, state: SearchState, models: SearchModels): AlignmentRow | undefined {
  const { options, prompt, noise } = lane;
  if (!isRefereeStep(state.step, options)) return undefined;
  const cutouts = noise.cutouts(state.step, options, models.cutoutSize);
  return { latent: state.latent, prompt, options, cutouts, lossScale: state.lossScale };
}

export interface SearchAnswers {
  readonly draw: SearchDraw;
  /** The diffusion model's guided output. */
  readonly output: Float32Array;
  readonly aligned: AlignmentResult | undefined;
}

/**
 * The state after the step, from the models' answers.
 *
 * @throws RefereeError NonFinite, ZeroGradient; both name the step.
 */
export function advanceSearch(
  lane: StepLane,
  state: SearchState,
  models: SearchModels,
  { draw, output, aligned }: SearchAnswers,
): { state: SearchState; report: SearchReport } {
  const { options, noise } = lane;
  const { step, latent } = state;
  const [, height, width] = models.latentShape;
  const sdWeight = distillationWeight(step, options);
  const distillation = distillationGradient({
    ...draw,
    output,
    predictionType: models.predictionType,
    weight: sdWeight * timestepWeight(draw.diffusion, options),
    area: height * width,
  });
  const losses = aligned && lossReport(aligned, options, step);
  const updated = updateLatent({
    latent,
    step,
    options,
    distillation,
    noiseB: noise.stepB(step, latent.length),
    ...(aligned && { referee: { gradient: aligned.gradient, noiseA: noise.stepA(step, latent.length) } }),
    ...(state.adam && { adam: state.adam }),
  });
  const ema = movingAverage(state.ema, updated.latent, step, options.emaDecay);
  const restarts = isRestart(step, options);
  const { adam, normSds, normVlm, scale, lr } = updated;
  return {
    state: {
      kind: 'search',
      step: step + 1,
      latent: restarts ? ema : updated.latent,
      ema,
      lossScale: aligned?.lossScale ?? state.lossScale,
      ...(adam && { adam }),
    },
    report: {
      kind: 'search',
      step,
      timestep: draw.timestep,
      lr,
      sdWeight,
      normSds,
      ...(losses && { losses }),
      ...(normVlm !== undefined && { normVlm }),
      ...(scale !== undefined && { scale }),
      isRestart: restarts,
    },
  };
}

function lossReport({ itm, itg, itc }: AlignmentResult, options: MethodOptions, step: number): LossReport {
  assertFinite(itm, step, 'the matching loss');
  assertFinite(itg, step, 'the caption loss');
  if (itc) assertFinite(itc, step, 'the contrastive loss');
  else if (options.itcWeight > 0) {
    const found = quoted(options.itcWeight);
    throw new RefereeError(
      'InvalidOption',
      `itcWeight: expected 0 as the pack has no contrastive loss, found ${found}`,
    );
  }
  const means = { itm: mean(itm), itg: mean(itg), ...(itc && { itc: mean(itc) }) };
  const { itmWeight, itgWeight, itcWeight } = options;
  const total = itmWeight * means.itm + itgWeight * means.itg + itcWeight * (means.itc ?? 0);
  return { ...means, total, perCutout: { itm, itg, ...(itc && { itc }) } };
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
