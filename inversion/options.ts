/**
 * @file Every option of the method: type, range, meaning and source in one schema, from which command-line help and
 * reference pages are generated. Two sets of defaults: the published code's for Stable Diffusion 1.5 with BLIP-2
 * (Liu et al. 2024, arXiv 2402.16305), and those of the small shapes world at 64 pixels.
 */
import { z } from 'zod';

import { quoted, RefereeError } from '../errors.ts';
import { suggestion } from './suggest.ts';

function whole(min: number, max: number) {
  const error = `a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

function real(min: number, max: number) {
  const error = `a number from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
}

function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, { error: `one of ${values.join(', ')}` });
}

function text(maxLength: number) {
  const error = `text of at most ${maxLength} characters`;
  return z.string({ error }).max(maxLength, { error });
}

const probability = () => real(0, 1);
const weight = () => real(0, 1e6);

export const MethodOptions = z.strictObject({
  method: choice(['search', 'distil', 'sample', 'best-of']).describe(
    'search: referee and score distillation; distil: score distillation only; sample: one DDIM sample; best-of: the referee chooses among samples',
  ),
  candidates: whole(1, 1024).describe('samples that best-of draws'),
  steps: whole(1, 10_000).describe('updates of one search'),
  refereeStart: whole(0, 10_000).describe('first step with the referee; scales with steps unless given'),
  refereeEnd: whole(0, 10_000).describe('first step without the referee again; scales with steps unless given'),

  lr: real(0, 100).describe('base learning rate; also the rate of the distillation step'),
  lrMin: real(0, 100).describe('where the cosine of the learning rate tends to'),
  warmup: whole(0, 10_000).describe('steps of linear warm-up of the learning rate'),
  optimiser: choice(['sgd', 'adam']).describe('of the referee step; the paper uses plain gradient descent'),
  adamBeta1: real(0, 0.999_999).describe('decay of the first moment'),
  adamBeta2: real(0, 0.999_999).describe('decay of the second moment'),
  adamEpsilon: real(1e-12, 1).describe('added to the root of the second moment'),

  sdWeight: weight().describe(
    'weight of score distillation at the first step, before division by the latent area h w; keep the ratio 800/4096 of the paper',
  ),
  sdWeightFinal: weight().describe('the same at the last step; cosine in between'),
  guidance: real(0, 1000).describe('classifier-free guidance scale of score distillation'),
  tMin: whole(0, 998).describe('smallest diffusion timestep that is drawn'),
  tMax: whole(2, 1000).describe('timesteps are drawn below tMax - 1'),
  alphaExponent: real(-8, 8).describe('exponent of sqrt(abar_t) in the weight of a timestep; 0: all weigh the same'),
  sigmaExponent: real(-8, 8).describe('exponent of sqrt(1 - abar_t) in the weight of a timestep'),

  vlmWeight: real(1e-6, 1000).describe(
    'size of the referee step relative to the distillation step; 2 in the paper, above 1 harmful in the shapes world',
  ),
  zNoise: real(0, 10).describe('standard deviation of the noise added to the latent in the referee phase'),
  zNoiseLate: real(0, 10).describe('the same outside of the referee phase'),
  initStd: real(0, 10).describe('standard deviation of the initial latent'),

  emaDecay: real(0, 0.999_999).describe('decay of the moving average of the latent, per step'),
  emaStart: whole(1, 10_000).describe('step count after which the latent first restarts from its average'),
  emaRestart: whole(1, 10_000).describe('steps between restarts'),
  readout: choice(['latent', 'ema']).describe('which one becomes the picture: the last latent (code) or its average'),

  cutouts: whole(1, 256).describe('random augmentations of the image that the referee sees per step'),
  augTopk: whole(1, 256)
    .optional()
    .describe(
      'only this many cutouts of the highest loss give the gradient, at the price of a second pass; all if left out',
    ),
  affineDegrees: real(0, 180).describe('rotation of a cutout is uniform in plus or minus this, degrees'),
  affineTranslation: real(0, 1).describe('shift of a cutout is uniform in plus or minus this share of its size'),
  perspectiveProbability: probability().describe('share of cutouts that are warped in perspective'),
  perspectiveDistortion: real(0, 0.9).describe('corners move inwards by up to half of this share of the size'),
  jitterProbability: probability().describe('share of cutouts whose colours are jittered'),
  jitterBrightness: real(0, 1).describe('factor is uniform in 1 plus or minus this'),
  jitterContrast: real(0, 1).describe('factor is uniform in 1 plus or minus this'),
  jitterSaturation: real(0, 1).describe('factor is uniform in 1 plus or minus this'),
  jitterHue: real(0, 0.5).describe('shift is uniform in plus or minus this, turns of the colour circle'),
  eraseProbability: probability().describe('share of steps in which a rectangle of all cutouts is blackened'),
  eraseAreaMin: real(0, 1).describe('smallest area of the rectangle, share of the cutout'),
  eraseAreaMax: real(0, 1).describe('largest area of the rectangle, share of the cutout'),
  eraseAspectMin: real(0.01, 100).describe('smallest height / width of the rectangle'),
  eraseAspectMax: real(0.01, 100).describe('largest height / width of the rectangle'),
  noiseFactor: real(0, 10).describe('first pixel noise of a cutout: its factor is uniform in 0 to this'),
  noiseScale: real(0, 10).describe('factor of the second pixel noise, the same for all cutouts'),

  itmWeight: weight().describe('weight of the image-text matching loss'),
  itgWeight: weight().describe('weight of the caption loss (image-grounded text generation)'),
  itcWeight: weight().describe('weight of the contrastive loss; off by default'),
  labelSmoothing: real(0, 0.999).describe('of the caption loss; 0.1 in the library that the published code uses'),

  sampleSteps: whole(1, 1000).describe('DDIM steps of sample and best-of'),
  sampleGuidance: real(0, 1000).describe('classifier-free guidance scale of sample and best-of'),
  prefix: text(2000).describe('put before the prompt for the diffusion model; the referee sees the prompt alone'),
  negative: text(2000).describe('its context takes the place of the empty prompt'),
});

/** Options of one search, resolved: all given, all in range. */
export type MethodOptions = Readonly<z.infer<typeof MethodOptions>>;
export type OptionName = keyof MethodOptions;

const FIELDS: Readonly<Record<string, z.ZodType>> = MethodOptions.shape;

/** Names of all options, in the order of help texts. */
export const OPTION_NAMES = Object.keys(FIELDS) as readonly OptionName[];

/** The published code's values: 512 pixels, latent 64 x 64, BLIP-2. */
export const SD15_DEFAULTS: MethodOptions = Object.freeze<MethodOptions>({
  method: 'search',
  candidates: 4,
  steps: 160,
  refereeStart: 0,
  refereeEnd: 150,
  lr: 1,
  lrMin: 0.5,
  warmup: 10,
  optimiser: 'sgd',
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  sdWeight: 800,
  sdWeightFinal: 400,
  guidance: 30,
  tMin: 50,
  tMax: 950,
  alphaExponent: 0,
  sigmaExponent: 0,
  vlmWeight: 2,
  zNoise: 0.2,
  zNoiseLate: 0.01,
  initStd: 1,
  emaDecay: 0.95,
  emaStart: 40,
  emaRestart: 60,
  readout: 'latent',
  cutouts: 10,
  affineDegrees: 30,
  affineTranslation: 0.1,
  perspectiveProbability: 0.4,
  perspectiveDistortion: 0.2,
  jitterProbability: 0.5,
  jitterBrightness: 0.1,
  jitterContrast: 0.1,
  jitterSaturation: 0.1,
  jitterHue: 0.1,
  eraseProbability: 1,
  eraseAreaMin: 0.1,
  eraseAreaMax: 0.4,
  eraseAspectMin: 0.3,
  eraseAspectMax: 3.3,
  noiseFactor: 0.1,
  noiseScale: 0.2,
  itmWeight: 1,
  itgWeight: 1,
  itcWeight: 0,
  labelSmoothing: 0.1,
  sampleSteps: 50,
  // What Stable Diffusion pipelines use unless told otherwise.
  sampleGuidance: 7.5,
  prefix: 'A photo exactly contains ',
  negative: '',
});

/** The shapes world: 64 pixels, latent 16 x 16; sd_weight / (h w) as in the paper, the rest tuned lightly on its prompts. */
export const SHAPES_DEFAULTS: MethodOptions = Object.freeze<MethodOptions>({
  ...SD15_DEFAULTS,
  steps: 64,
  refereeEnd: 54,
  warmup: 5,
  sdWeight: 50,
  sdWeightFinal: 25,
  // 30 over-saturates this small UNet.
  guidance: 10,
  vlmWeight: 1,
  zNoise: 0.1,
  emaStart: 20,
  emaRestart: 16,
  cutouts: 3,
  affineDegrees: 15,
  jitterHue: 0.02,
  // Objects are small and never black: larger rectangles hide them whole.
  eraseAreaMin: 0.02,
  eraseAreaMax: 0.08,
  noiseScale: 0.1,
  labelSmoothing: 0,
  sampleGuidance: 3,
  prefix: 'a photo exactly contains ',
});

/**
 * Defaults with overrides put in, checked and frozen. Overrides come from people (JSON, flags), hence `unknown`; fields
 * that are `undefined` count as left out.
 *
 * When `steps` is overridden, `refereeStart` and `refereeEnd` keep their share of the search unless they are overridden
 * too (54 of 64 becomes 27 of 32). `warmup`, `emaStart` and `emaRestart` stay as they are: they are measured in steps
 * because the average's memory is, 1 / (1 - emaDecay) of them.
 *
 * @throws RefereeError InvalidOption that names the field, what was expected and what was found.
 */
export function resolveOptions(defaults: MethodOptions, overrides: unknown = {}): MethodOptions {
  const given = checkFields(overrides);
  const share = (given.steps ?? defaults.steps) / defaults.steps;
  const resolved: MethodOptions = {
    ...defaults,
    refereeStart: Math.round(defaults.refereeStart * share),
    refereeEnd: Math.round(defaults.refereeEnd * share),
    ...given,
  };
  checkRelations(resolved);
  return Object.freeze(resolved);
}

/**
 * The least that gives `options` again from `defaults`: `resolveOptions(defaults, overridesOf(options, defaults))` equals
 * `options`.
 */
export function overridesOf(options: MethodOptions, defaults: MethodOptions): Partial<MethodOptions> {
  const differing = OPTION_NAMES.filter((name) => options[name] !== defaults[name]);
  // With other steps the bounds of the search move, unless they are named.
  const names = differing.includes('steps') ? [...differing, 'refereeStart', 'refereeEnd'] : differing;
  return Object.fromEntries(OPTION_NAMES.filter((name) => names.includes(name)).map((name) => [name, options[name]]));
}

/**
 * The typed value of option `name` written as text, as on a command line.
 *
 * @throws RefereeError InvalidOption for an unknown name or a value out of range.
 */
export function optionFromText(name: string, written: string): number | string {
  const field = fieldOf(name);
  const isNumeric = !field.safeParse('').success && !(field instanceof z.ZodEnum);
  const trimmed = written.trim();
  const value = isNumeric && NUMBER.test(trimmed) ? Number(trimmed) : written;
  return checkField(name, field, value) as number | string;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function checkFields(overrides: unknown): Partial<MethodOptions> {
  if (typeof overrides !== 'object' || overrides === null || Array.isArray(overrides)) {
    throw new RefereeError(
      'InvalidOption',
      `options: expected an object of option names and values, found ${quoted(overrides)}`,
    );
  }
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, checkField(name, fieldOf(name), value)]));
}

function fieldOf(name: string): z.ZodType {
  const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
  if (field !== undefined) return field;
  throw new RefereeError('InvalidOption', `unknown option ${quoted(name)}${suggestion(name, OPTION_NAMES)}`, {
    details: { field: name },
  });
}

function checkField(name: string, field: z.ZodType, value: unknown): unknown {
  const parsed = field.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(name, parsed.error.issues[0]?.message ?? 'another value', value);
}

function invalid(name: string, expected: string, found: unknown): RefereeError {
  return new RefereeError('InvalidOption', `${name}: expected ${expected}, found ${quoted(found)}`, {
    details: { field: name },
  });
}

/** Rules between fields; each error names the field that most likely has to change. */
function checkRelations(o: MethodOptions): void {
  const atMost = (name: OptionName, limit: OptionName): void => {
    if (Number(o[name]) > Number(o[limit])) throw invalid(name, `at most ${limit} (${String(o[limit])})`, o[name]);
  };
  atMost('refereeEnd', 'steps');
  atMost('refereeStart', 'refereeEnd');
  atMost('eraseAreaMin', 'eraseAreaMax');
  atMost('eraseAspectMin', 'eraseAspectMax');
  if (o.augTopk !== undefined) atMost('augTopk', 'cutouts');
  if (o.tMin + 2 > o.tMax) throw invalid('tMin', `at most tMax - 2 (${o.tMax - 2})`, o.tMin);
  const isRefereed = o.method === 'search' && o.refereeEnd > o.refereeStart;
  if (isRefereed && o.itmWeight + o.itgWeight + o.itcWeight === 0) {
    throw invalid(
      'itmWeight',
      'at least one of itmWeight, itgWeight, itcWeight above 0 (or method distil)',
      o.itmWeight,
    );
  }
}
