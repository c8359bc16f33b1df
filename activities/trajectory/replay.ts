/**
 * @file Replays a recorded search with our graphs and our step, one step at a time from every recorded state and freely
 * from the first, and compares every quantity that was recorded.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { RefereeError } from '../../errors.ts';
import type { SearchReport } from '../../inversion/events.ts';
import { diffusionAt, distillationGradient, timestepWeight } from '../../inversion/guidance.ts';
import type {
  AlignmentInput,
  AlignmentOutput,
  GuidanceInput,
  LanePrompt,
  SearchModels,
} from '../../inversion/models.ts';
import type { StepNoise } from '../../inversion/noise.ts';
import type { MethodOptions } from '../../inversion/options.ts';
import { recordedNoise } from '../../inversion/recorded.ts';
import type { SearchState } from '../../inversion/state.ts';
import { step } from '../../inversion/step.ts';
import { downscaleFactor } from '../../models/architectures/autoencoder-kl.ts';
import type { PackParts } from '../../models/packs/parts.ts';
import { openCheckpoints } from '../../models/packs/parts.ts';
import type { Device } from '../../models/runtime/device.ts';
import { PackModels } from '../pack-models.ts';
import { lanePrompt } from '../prompts.ts';
import type { Compared } from './comparison.ts';
import { compare } from './comparison.ts';
import { Recording, recordedOptions } from './recording.ts';
import { statedErrors } from './stated-errors.ts';
import type { StatedErrors } from './stated-errors.ts';

/** CLIP's, which recordings normalise with. */
const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD = [0.26862954, 0.26130258, 0.27577711];
/** Timesteps of the diffusion model that recordings draw from. */
const TRAIN_TIMESTEPS = 1000;

export interface Replay {
  /** File name of the recording. */
  readonly name: string;
  readonly options: MethodOptions;
  readonly compared: readonly Compared[];
  /** Where the free run ended. */
  readonly latent: Float32Array;
}

/** Names of the recordings of a folder. */
export async function findRecordings(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    throw new RefereeError('InvalidInput', `${folder}: expected a folder of recordings, found none that can be read`, {
      cause,
    });
  }
  const found = names.filter((name) => /^reference-trajectory-.*\.safetensors$/.test(name)).sort();
  if (found.length > 0) return found;
  throw new RefereeError('InvalidInput', `${folder}: expected reference-trajectory-*.safetensors, found none`);
}

export interface ReplayOptions {
  /** Only this many of the first steps; all by default. */
  readonly steps?: number;
}

/** Replays one recording of a folder that holds `vae`, `unet`, `text_encoder` and `referee`. */
export async function replay(
  folder: string,
  name: string,
  device: Device,
  { steps = Infinity }: ReplayOptions = {},
): Promise<Replay> {
  const recording = await Recording.open(join(folder, name));
  const options = recordedOptions(recording);
  const parts = await recordedParts(folder, recording);
  const models = new PackModels(parts, [device]);
  const stated = await statedErrors(folder, name);
  const session = new Session({ recording, options, models, stated });
  return { name, options, ...(await session.run(Math.min(steps, recording.steps))) };
}

async function recordedParts(folder: string, recording: Recording): Promise<PackParts> {
  const place = (part: string): string => join(folder, part);
  const found = await openCheckpoints({
    decoder: place('vae'),
    unet: place('unet'),
    textEncoder: place('text_encoder'),
    referee: place('referee'),
  });
  const [, channels, height, width] = recording.get('input.z0').shape as [number, number, number, number];
  const factor = downscaleFactor(found.decoder.config);
  return {
    decoder: found.decoder,
    unet: found.unet,
    textEncoder: { ...found.textEncoder, tokens: recording.get('input.prompt_ids').shape[1] ?? 0 },
    referee: {
      ...found.referee,
      mean: CLIP_MEAN,
      std: CLIP_STD,
      imageSize: found.referee.config.vision_config.image_size,
      tokens: recording.get('input.referee_ids').shape[1] ?? 0,
    },
    // The recording brings its own values of the schedule; what is used of this is how sampling counts, and nothing samples.
    scheduler: {
      trainTimesteps: TRAIN_TIMESTEPS,
      betaStart: 0.00085,
      betaEnd: 0.012,
      betaSchedule: 'scaled_linear',
      predictionType: 'epsilon',
      setAlphaToOne: false,
      stepsOffset: 1,
      timestepSpacing: 'leading',
      rescaleBetasZeroSnr: false,
    },
    latentShape: [channels, height, width],
    imageSize: [height * factor, width * factor],
  };
}

interface SessionInput {
  readonly recording: Recording;
  readonly options: MethodOptions;
  readonly models: PackModels;
  readonly stated: StatedErrors;
}

class Session {
  readonly #recording: Recording;
  readonly #options: MethodOptions;
  readonly #models: PackModels;
  readonly #stated: StatedErrors;
  readonly #noise: StepNoise;
  readonly #alphas = new Float64Array(TRAIN_TIMESTEPS);
  readonly #rows: Compared[] = [];

  constructor({ recording, options, models, stated }: SessionInput) {
    this.#recording = recording;
    this.#options = options;
    this.#models = models;
    this.#stated = stated;
    this.#noise = recordedNoise((name) => recording.optional(`input.${name}`));
    const alphas = recording.numbers('input.alphas_cumprod');
    recording.numbers('input.timesteps').forEach((timestep, k) => (this.#alphas[timestep] = alphas[k]!));
  }

  async run(steps: number): Promise<Pick<Replay, 'compared' | 'latent'>> {
    const prompt = await this.#prompt();
    this.#once('context_null', prompt.contextNull);
    this.#once('context_prompt', prompt.contextPrompt);
    if (this.#recording.refereeSteps > 0) await this.#stages(prompt);
    for (let k = 0; k < steps; k += 1) await this.#step(prompt, 'step', this.#recordedState(k));
    const z0 = Float32Array.from(this.#recording.get('input.z0').data as Float32Array);
    let state: SearchState = { kind: 'search', step: 0, latent: z0, ema: z0, lossScale: 1 };
    while (state.step < steps) state = await this.#step(prompt, 'free', state);
    const last = this.#recordedState(this.#recording.steps);
    this.#once('image_final_z', await this.#models.decode(last.latent, 1));
    this.#once('image_final_ema', await this.#models.decode(last.ema, 1));
    return { compared: this.#rows, latent: state.latent };
  }

  async #prompt(): Promise<LanePrompt> {
    const ids = (name: string): number[] => this.#recording.numbers(`input.${name}`);
    const [none, prompt] = [
      await this.#models.encodeText(ids('null_ids')),
      await this.#models.encodeText(ids('prompt_ids')),
    ];
    const referee = { ids: ids('referee_ids'), mask: ids('referee_mask') };
    return lanePrompt({ referee, decoderIds: ids('referee_decoder_ids') }, { null: none, prompt });
  }

  /** z_before and the average before step k; behind the last step, where the search ended. */
  #recordedState(k: number): SearchState {
    const isEnd = k === this.#recording.steps;
    const latent = isEnd ? this.#recording.row('output.z', k - 1) : this.#recording.row('output.z_before', k);
    return {
      kind: 'search',
      step: k,
      latent,
      ema: k === 0 ? latent : this.#recording.row('output.ema', k - 1),
      lossScale: 1,
    };
  }

  async #step(prompt: LanePrompt, mode: 'step' | 'free', state: SearchState): Promise<SearchState> {
    const k = state.step;
    const seen = new Observed(this.#models, this.#alphas);
    const [outcome] = await step([{ prompt, options: this.#options, noise: this.#noise, state }], seen);
    if (!outcome?.ok) throw outcome?.error ?? new RefereeError('Internal', 'a step without an outcome');
    const next = outcome.state as SearchState;
    const report = outcome.report as SearchReport;
    const of = (quantity: string, values: Float32Array): void => this.#compareStep(quantity, { mode, k }, values);
    of('z', next.latent);
    of('ema', next.ema);
    of('g_sds', seen.distillation(this.#options, report, this.#noise.distillation(k, state.latent.length)));
    of('lr', Float32Array.of(report.lr));
    of('sd_weight', Float32Array.of(report.sdWeight));
    of('norm_sds', Float32Array.of(report.normSds));
    if (report.losses && seen.gradient && report.normVlm !== undefined && report.scale !== undefined) {
      of('g_vlm', seen.gradient);
      of('itm', Float32Array.of(report.losses.itm));
      of('itg', Float32Array.of(report.losses.itg));
      of('norm_vlm', Float32Array.of(report.normVlm));
      of('scale', Float32Array.of(report.scale));
    }
    return next;
  }

  /** Stages and gradients of the first step. */
  async #stages(prompt: LanePrompt): Promise<void> {
    const latents = this.#recordedState(0).latent;
    const cutouts = this.#noise.cutouts(0, this.#options, this.#models.cutoutSize);
    const one = (value: number): Float32Array => Float32Array.of(value);
    const input: AlignmentInput = {
      lanes: 1,
      cutoutsPerLane: this.#options.cutouts,
      latents,
      prompts: [prompt],
      cutouts,
      noiseScale: one(this.#options.noiseScale),
      weights: { itm: one(1), itg: one(1), itc: one(0), vlm: one(this.#options.vlmWeight), labelSmoothing: one(0) },
    };
    for (const [name, values] of Object.entries(await this.#models.stages(input))) this.#once(`step0.${name}`, values);
  }

  #once(quantity: string, values: Float32Array): void {
    const expected = this.#recording.optional(`output.${quantity}`);
    if (expected) this.#rows.push(compare({ quantity, mode: 'once' }, expected.data as Float32Array, values));
  }

  #compareStep(quantity: string, { mode, k }: { mode: 'step' | 'free'; k: number }, values: Float32Array): void {
    if (!this.#recording.has(`output.${quantity}`)) return;
    const stated = this.#stated(quantity, mode, k);
    this.#rows.push(compare({ quantity, mode, step: k, stated }, this.#recording.row(`output.${quantity}`, k), values));
  }
}

/** Models that remember what went through them, with the recording's values of the noise schedule. */
class Observed implements SearchModels {
  readonly latentShape: SearchModels['latentShape'];
  readonly cutoutSize: number;
  readonly alphasCumprod: Float64Array;
  readonly predictionType: SearchModels['predictionType'];
  readonly ddim: SearchModels['ddim'];
  readonly #models: PackModels;
  #asked: GuidanceInput | undefined;
  #answered: Float32Array | undefined;
  /** Of the referees, once they were asked. */
  gradient: Float32Array | undefined;

  constructor(models: PackModels, alphas: Float64Array) {
    this.#models = models;
    this.latentShape = models.latentShape;
    this.cutoutSize = models.cutoutSize;
    this.alphasCumprod = alphas;
    this.predictionType = models.predictionType;
    this.ddim = models.ddim;
  }

  async alignment(input: AlignmentInput): Promise<AlignmentOutput> {
    const output = await this.#models.alignment(input);
    this.gradient = output.gradient;
    return output;
  }

  async guidance(input: GuidanceInput): Promise<Float32Array> {
    this.#asked = input;
    this.#answered = await this.#models.guidance(input);
    return this.#answered;
  }

  score(): Promise<Float32Array> {
    return Promise.reject(new RefereeError('Internal', 'a recorded search has no scores'));
  }

  decode(latents: Float32Array, lanes: number): Promise<Float32Array> {
    return this.#models.decode(latents, lanes);
  }

  /** g_sds of the step that these models took part in. */
  distillation(options: MethodOptions, report: SearchReport, noise: Float32Array): Float32Array {
    if (!this.#asked || !this.#answered) throw new RefereeError('Internal', 'the diffusion model was not asked');
    const diffusion = diffusionAt(this.alphasCumprod[report.timestep]!);
    const [, height, width] = this.latentShape;
    return distillationGradient({
      output: this.#answered,
      predictionType: this.predictionType,
      noisy: this.#asked.noisy,
      noise,
      diffusion,
      weight: report.sdWeight * timestepWeight(diffusion, options),
      area: height * width,
    });
  }
}
