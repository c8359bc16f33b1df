/**
 * @file Seconds of a step of a pack's search on its devices: with the referee (the gradient of all models) and without
 * (the diffusion model alone), for a number of lanes that share the calls.
 */
import type { StepLane } from '../../inversion/lane.ts';
import { noiseBank } from '../../inversion/noise-bank.ts';
import { philoxNoise } from '../../inversion/noise.ts';
import type { MethodOptions } from '../../inversion/options.ts';
import { resolveOptions } from '../../inversion/options.ts';
import { initialState } from '../../inversion/state.ts';
import { step } from '../../inversion/step.ts';
import type { Engine } from '../engine.ts';
import { packDefaults } from '../specs.ts';

export interface StepSeconds {
  readonly lanes: number;
  /** Of a step of all lanes with the referee. */
  readonly search: number;
  /** Of a step of all lanes without it. */
  readonly distil: number;
}

export interface MeasureOptions {
  readonly lanes: number;
  /** Calls that are timed at most, and seconds after which no further one begins. */
  readonly repeats: number;
  readonly seconds: number;
  readonly signal?: AbortSignal | undefined;
}

/** Nobody looks at the pictures: a text without words has tokens in every vocabulary. */
const PROMPT = '';

/** Medians, after a step that is not counted. @throws what a search would have met; `signal.reason` when aborted */
export async function measureSteps(engine: Engine, options: MeasureOptions): Promise<StepSeconds> {
  const distil = resolveOptions(packDefaults(engine.pack), { method: 'distil' });
  await medianOf(engine, searching(engine), { ...options, repeats: 1 });
  return {
    lanes: options.lanes,
    search: await medianOf(engine, searching(engine), options),
    distil: await medianOf(engine, distil, options),
  };
}

/** Seconds of a step of one search with the referee, of an engine that has computed one before. */
export async function measureSearch(engine: Engine, options: Omit<MeasureOptions, 'lanes'>): Promise<number> {
  return medianOf(engine, searching(engine), { ...options, lanes: 1 });
}

function searching(engine: Engine): MethodOptions {
  return resolveOptions(packDefaults(engine.pack), { method: 'search', refereeStart: 0 });
}

async function medianOf(
  engine: Engine,
  options: MethodOptions,
  { lanes: count, repeats, seconds, signal }: MeasureOptions,
): Promise<number> {
  const lanes = await Promise.all(Array.from({ length: count }, (_, seed) => lane(engine, options, seed)));
  const times: number[] = [];
  const begun = performance.now();
  while (times.length < repeats) {
    signal?.throwIfAborted();
    const from = performance.now();
    for (const outcome of await step(lanes, engine.models)) if (!outcome.ok) throw outcome.error;
    times.push((performance.now() - from) / 1000);
    if (performance.now() - begun > 1000 * seconds) break;
  }
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}

async function lane(engine: Engine, options: MethodOptions, seed: number): Promise<StepLane> {
  const noise = philoxNoise(seed, noiseBank(3 * engine.models.cutoutSize ** 2));
  const prompt = await engine.preparePrompt(engine.tokenizer.tokenize(PROMPT, options));
  const [channels, height, width] = engine.models.latentShape;
  return { prompt, options, noise, state: initialState(options, noise, { count: channels * height * width }) };
}

/** Seconds of what follows the last step of a search: its picture, and the referee's opinion of it. */
export async function measureEnd(engine: Engine): Promise<number> {
  const { prompt, state } = await lane(engine, packDefaults(engine.pack), 0);
  const end = async (): Promise<void> => {
    await engine.models.decode(state.latent, 1);
    await engine.models.score({ lanes: 1, latents: state.latent, prompts: [prompt] });
  };
  await end();
  const from = performance.now();
  await end();
  return (performance.now() - from) / 1000;
}
