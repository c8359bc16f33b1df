/**
 * @file The models of a pack, opened as far as graphs need them: configs parsed, names and places of weights known,
 * no weight read.
 */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { RefereeError } from '../../errors.ts';
import type { AutoencoderKlConfig } from '../architectures/autoencoder-kl.ts';
import { downscaleFactor, parseAutoencoderKlConfig } from '../architectures/autoencoder-kl.ts';
import type { Blip2Config } from '../architectures/blip2-config.ts';
import { parseBlip2Config } from '../architectures/blip2-config.ts';
import type { ClipTextConfig } from '../architectures/clip-text.ts';
import { parseClipTextConfig } from '../architectures/clip-text.ts';
import type { UnetConfig } from '../architectures/unet-2d-condition-config.ts';
import { parseUnetConfig } from '../architectures/unet-2d-condition-config.ts';
import type { WeightSource } from '../nn/scope.ts';
import { findWeights } from '../weights/checkpoint-folder.ts';
import type { Pack } from './resolve.ts';

/** One checkpoint: its parsed config and where its tensors lie. */
export interface Part<Config> {
  readonly config: Config;
  readonly weights: WeightSource;
}

export interface RefereePart extends Part<Blip2Config> {
  /** Mean and standard deviation per channel that the referee's images are normalised with. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** S, pixels. */
  readonly imageSize: number;
  /** N, tokens of a text. */
  readonly tokens: number;
}

export interface SchedulerConfig {
  readonly trainTimesteps: number;
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly betaSchedule: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2';
  readonly predictionType: 'epsilon' | 'v_prediction';
  readonly setAlphaToOne: boolean;
  readonly stepsOffset: number;
  readonly timestepSpacing: 'leading' | 'trailing' | 'linspace';
  readonly rescaleBetasZeroSnr: boolean;
}

export interface PackParts {
  readonly decoder: Part<AutoencoderKlConfig>;
  readonly unet: Part<UnetConfig>;
  readonly textEncoder: Part<ClipTextConfig> & { readonly tokens: number };
  readonly referee: RefereePart;
  readonly scheduler: SchedulerConfig;
  /** C, h, w */
  readonly latentShape: readonly [number, number, number];
  /** Height and width of a picture, pixels. */
  readonly imageSize: readonly [number, number];
}

const schedulerSchema = z.looseObject({
  num_train_timesteps: z.int().min(1).max(100_000).default(1000),
  beta_start: z.number().positive(),
  beta_end: z.number().positive(),
  beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2']),
  prediction_type: z.enum(['epsilon', 'v_prediction']).default('epsilon'),
  set_alpha_to_one: z.boolean().default(true),
  steps_offset: z.int().min(0).default(0),
  timestep_spacing: z.enum(['leading', 'trailing', 'linspace']).default('leading'),
  rescale_betas_zero_snr: z.boolean().default(false),
});

const preprocessorSchema = z.looseObject({
  image_mean: z.array(z.number()).length(3),
  image_std: z.array(z.number().positive()).length(3),
});

/** Opens all checkpoints of a pack. Configs that do not fit together are an error that names the field. */
export async function openParts(pack: Pack): Promise<PackParts> {
  const { parts, size } = pack.manifest;
  const { decoder, unet, textEncoder, referee } = await openCheckpoints({
    decoder: pack.path(parts.decoder.folder),
    unet: pack.path(parts.unet.folder),
    textEncoder: pack.path(parts.textEncoder.folder),
    referee: pack.path(parts.referee.folder),
  });
  const preprocessor = await readConfig(pack.path(parts.referee.preprocessor), preprocessorSchema);
  const scheduler = await readConfig(pack.path(parts.scheduler), schedulerSchema);
  const latent = decoder.config.latent_channels;
  const noisy = unet.weights.tensors.get('conv_in.weight')?.shape[1];
  if (noisy !== undefined && noisy !== latent) {
    const file = join(pack.path(parts.decoder.folder), 'config.json');
    throw new RefereeError(
      'InvalidPack',
      `${file}: "latent_channels": found ${latent}, expected ${noisy}, the channels that ${unet.weights.label} takes`,
      { details: { file, field: 'latent_channels' } },
    );
  }
  const factor = downscaleFactor(decoder.config);
  if (size.width % factor !== 0 || size.height % factor !== 0) {
    throw new RefereeError('InvalidPack', `${pack.path('manifest.json')}: "size": expected multiples of ${factor}, found ${size.width} x ${size.height}`);
  }
  return {
    decoder,
    unet,
    textEncoder: { ...textEncoder, tokens: parts.textEncoder.tokens },
    referee: {
      ...referee,
      mean: preprocessor.image_mean,
      std: preprocessor.image_std,
      imageSize: referee.config.vision_config.image_size,
      tokens: parts.referee.tokens,
    },
    scheduler: {
      trainTimesteps: scheduler.num_train_timesteps,
      betaStart: scheduler.beta_start,
      betaEnd: scheduler.beta_end,
      betaSchedule: scheduler.beta_schedule,
      predictionType: scheduler.prediction_type,
      setAlphaToOne: scheduler.set_alpha_to_one,
      stepsOffset: scheduler.steps_offset,
      timestepSpacing: scheduler.timestep_spacing,
      rescaleBetasZeroSnr: scheduler.rescale_betas_zero_snr,
    },
    latentShape: [decoder.config.latent_channels, size.height / factor, size.width / factor],
    imageSize: [size.height, size.width],
  };
}

type CheckpointFolders = Readonly<Record<'decoder' | 'unet' | 'textEncoder' | 'referee', string>>;

export interface Checkpoints {
  readonly decoder: Part<AutoencoderKlConfig>;
  readonly unet: Part<UnetConfig>;
  readonly textEncoder: Part<ClipTextConfig>;
  readonly referee: Part<Blip2Config>;
}

/** Opens four checkpoint folders by their roles. */
export async function openCheckpoints(folders: CheckpointFolders): Promise<Checkpoints> {
  return {
    decoder: await openPart(folders.decoder, parseAutoencoderKlConfig),
    unet: await openPart(folders.unet, parseUnetConfig),
    textEncoder: await openPart(folders.textEncoder, parseClipTextConfig),
    referee: await openPart(folders.referee, parseBlip2Config),
  };
}

/** A language-model head that is kept in a file of its own. */
const HEAD_FILE = 'lm_head.safetensors';

async function openPart<Config>(
  folder: string,
  parse: (json: unknown, where: string) => Config,
): Promise<Part<Config>> {
  const file = join(folder, 'config.json');
  const config = parse(await readJson(file), file);
  const hasHead = await access(join(folder, HEAD_FILE)).then(
    () => true,
    () => false,
  );
  return { config, weights: { label: folder, tensors: await findWeights(folder, hasHead ? { extraFiles: [HEAD_FILE] } : {}) } };
}

async function readConfig<S extends z.ZodType>(file: string, schema: S): Promise<z.output<S>> {
  const parsed = schema.safeParse(await readJson(file));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RefereeError('InvalidPack', `${file}: "${issue.path.join('.')}": ${issue.message}`, { details: { file } });
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    const found = cause instanceof SyntaxError ? cause.message : 'no such file';
    throw new RefereeError('InvalidPack', `${file}: expected a JSON document, found ${found}`, { cause, details: { file } });
  }
}
