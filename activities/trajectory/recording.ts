/**
 * @file A search that was recorded elsewhere, step by step: its tensors, and the settings it was made with as far as the
 * recording tells. Recordings say everything random; schedules are read off the recorded rates, weights and restarts.
 */
import { basename } from 'node:path';

import { RefereeError } from '../../errors.ts';
import type { MethodOptions } from '../../inversion/options.ts';
import { OPTION_NAMES, optionFromText, resolveOptions, SD15_DEFAULTS } from '../../inversion/options.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { openSafetensors } from '../../models/weights/safetensors.ts';

export class Recording {
  readonly file: string;
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #tensors: ReadonlyMap<string, Tensor>;

  private constructor(file: string, metadata: Readonly<Record<string, string>>, tensors: ReadonlyMap<string, Tensor>) {
    this.file = file;
    this.name = basename(file);
    this.metadata = metadata;
    this.#tensors = tensors;
  }

  static async open(file: string): Promise<Recording> {
    await using opened = await openSafetensors(file);
    const tensors = new Map<string, Tensor>();
    for (const name of opened.tensors.keys()) tensors.set(name, await opened.read(name));
    return new Recording(file, opened.metadata, tensors);
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  optional(name: string): Tensor | undefined {
    return this.#tensors.get(name);
  }

  get(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (tensor) return tensor;
    throw new RefereeError('InvalidInput', `${this.file}: tensor "${name}" is missing`, {
      details: { file: this.file },
    });
  }

  /** A tensor's elements as numbers. */
  numbers(name: string): number[] {
    return Array.from(this.get(name).data as ArrayLike<number | bigint>, Number);
  }

  /** Row `at` along the first axis, float32. */
  row(name: string, at: number): Float32Array {
    const { shape, data } = this.get(name);
    const size = data.length / (shape[0] ?? 1);
    return Float32Array.from(data.subarray(at * size, (at + 1) * size) as Float32Array);
  }

  /** Number of steps. */
  get steps(): number {
    return this.get('input.timesteps').shape[0] ?? 0;
  }

  /** Number of steps with the referee, the first ones. */
  get refereeSteps(): number {
    return this.get('input.affine_flag').shape[0] ?? 0;
  }

  /** Cutouts per step. */
  get cutouts(): number {
    return this.get('input.affine_flag').shape[1] ?? 0;
  }
}

/** Of recordings that say nothing else: what no recorded tensor shows. */
const UNSAID: Partial<MethodOptions> = {
  guidance: 10,
  vlmWeight: 2,
  zNoise: 0.1,
  zNoiseLate: 0.01,
  noiseScale: 0.2,
  labelSmoothing: 0,
  lr: 1,
};

/** The options of the recorded search. An option in the metadata, by its name, is stronger than what is read off. */
export function recordedOptions(recording: Recording): MethodOptions {
  const said = OPTION_NAMES.flatMap((name) => {
    const text = recording.metadata[name];
    return text === undefined ? [] : [[name, optionFromText(name, text)] as const];
  });
  return resolveOptions(SD15_DEFAULTS, {
    ...UNSAID,
    steps: recording.steps,
    refereeStart: 0,
    refereeEnd: recording.refereeSteps,
    cutouts: recording.cutouts,
    ...learningRates(recording),
    ...distillationWeights(recording),
    ...averaging(recording),
    ...Object.fromEntries(said),
  });
}

/** Solves the recorded rates for warm-up and final value, the base rate being 1. */
function learningRates(recording: Recording): Partial<MethodOptions> {
  const lr = recording.numbers('output.lr');
  const steps = recording.steps;
  const warmup = lr[0]! < 1 ? Math.round(1 / lr[0]!) : 0;
  const last = steps - 1;
  const fall = (1 - Math.cos((Math.PI * (last - warmup)) / steps)) / 2;
  const lrMin = last > warmup && fall > 0 ? 1 - (1 - lr[last]!) / fall : 0.5;
  return { warmup, lrMin: tidy(lrMin) };
}

function distillationWeights(recording: Recording): Partial<MethodOptions> {
  const weights = recording.numbers('output.sd_weight');
  const last = recording.steps - 1;
  const share = (1 + Math.cos((Math.PI * last) / recording.steps)) / 2;
  const first = weights[0]!;
  const final = last === 0 ? first : (weights[last]! - share * first) / (1 - share);
  return { sdWeight: tidy(first), sdWeightFinal: tidy(final) };
}

/** Decay of the average, and the steps after which the latent is the average: those restarted. */
function averaging(recording: Recording): Partial<MethodOptions> {
  const isAverage = (k: number): boolean => {
    const [z, ema] = [recording.row('output.z', k), recording.row('output.ema', k)];
    return z.every((value, at) => value === ema[at]);
  };
  const restarts = Array.from({ length: recording.steps }, (_, k) => k).filter((k) => k > 0 && isAverage(k));
  const [first, second] = restarts;
  return {
    emaStart: first === undefined ? recording.steps + 1 : first + 1,
    emaRestart: first === undefined || second === undefined ? recording.steps : second - first,
    ...(recording.steps > 1 && first !== 1 && { emaDecay: decay(recording) }),
  };
}

/** Least squares of ema_1 = d ema_0 + (1 - d) z_1. */
function decay(recording: Recording): number {
  const [before, after, z] = [
    recording.row('output.ema', 0),
    recording.row('output.ema', 1),
    recording.row('output.z', 1),
  ];
  let above = 0;
  let below = 0;
  before.forEach((value, at) => {
    above += (after[at]! - z[at]!) * (value - z[at]!);
    below += (value - z[at]!) ** 2;
  });
  return below === 0 ? 0.95 : tidy(above / below);
}

/** A setting that a person chose, out of a number that was rounded to float32: four digits. */
function tidy(value: number): number {
  return Math.max(0, Number(value.toPrecision(4)));
}
