/**
 * @file The models of a pack on devices: its graphs as the functions that a search is written against. Graphs are built
 * and loaded when they are first needed, once per device.
 */
import { RefereeError } from '../errors.ts';
import { concatenate, selectCutouts } from '../inversion/augment.ts';
import type { CutoutParameters } from '../inversion/augment.ts';
import type {
  AlignmentInput,
  AlignmentOutput,
  GuidanceInput,
  LanePrompt,
  ScoreInput,
  SearchModels,
} from '../inversion/models.ts';
import { alphasCumprod } from '../inversion/schedule.ts';
import type { Tensor } from '../models/onnx/dtype.ts';
import { elementCount } from '../models/onnx/dtype.ts';
import { writeModel } from '../models/onnx/protobuf.ts';
import type { AlignmentOptions } from '../models/packs/graphs.ts';
import { weightBytes } from '../models/packs/memory.ts';
import { PackGraphs, type GraphRequest } from '../models/packs/pack-graphs.ts';
import type { Kernels } from '../models/packs/kernels.ts';
import type { PackParts } from '../models/packs/parts.ts';
import type {
  Device,
  DeviceStats,
  MemoryMode,
  ProviderName,
  Session,
  SessionOptions,
} from '../models/runtime/device.ts';
import { runLanes } from './batching.ts';
import { groupByAdjoint, joinLanes, selectLanes, type LaneGroup } from './lane-adjoints.ts';
import { TextContexts, type TextEncoder } from './text-contexts.ts';

/** How the alignment is computed; see `graphs.ts`. */
export type Plan =
  { readonly kind: 'fused' } | { readonly kind: 'split'; /** Cutouts at a time. */ readonly cutouts: number };

/** One form for all lanes, or for each lane what suits its matrices; see `lane-adjoints.ts`. */
export type AdjointChoice = AlignmentOptions['adjoint'] | 'by-lane';

export interface ModelsSettings {
  readonly plan?: Plan;
  /** Form of the warps' adjoint, for matrices of any range by default. */
  readonly adjoint?: AdjointChoice;
  /** Type of the warps' places; by default what the first device has. */
  readonly places?: AlignmentOptions['places'];
  /** Graphs that are built already, of the same pack. */
  readonly graphs?: PackGraphs;
}

/** What a provider computes places in: float64 where it has kernels for it. */
export function placesOn(provider: ProviderName): AlignmentOptions['places'] {
  return provider === 'cpu' ? 'float64' : 'float32';
}

/** Which kernels the graphs for a provider count on. */
export function kernelsOn(provider: ProviderName): Kernels {
  return provider === 'cpu' || provider === 'webgpu' ? provider : 'any';
}

/** Bytes of weights. */
const SMALL_ENCODER = 2 ** 26;

type Feeds = Record<string, Tensor>;
/** What may differ between calls besides the number of cutouts. */
type Form = Pick<AlignmentOptions, 'adjoint' | 'hasContrast'>;

export class PackModels implements SearchModels {
  readonly parts: PackParts;
  readonly plan: Plan;
  readonly latentShape: readonly [number, number, number];
  readonly cutoutSize: number;
  readonly alphasCumprod: Float64Array;
  readonly predictionType: SearchModels['predictionType'];
  readonly ddim: SearchModels['ddim'];
  readonly #devices: readonly Device[];
  readonly #adjoint: AdjointChoice;
  readonly #places: AlignmentOptions['places'];
  readonly #graphs: PackGraphs;
  readonly #sessions = new Map<string, Promise<readonly Session[]>>();
  readonly #contexts: TextContexts;

  constructor(parts: PackParts, devices: readonly Device[], settings: ModelsSettings = {}) {
    if (devices.length === 0) throw new RefereeError('Internal', 'models need a device');
    this.parts = parts;
    this.plan = settings.plan ?? { kind: 'fused' };
    this.#devices = devices;
    this.#adjoint = settings.adjoint ?? 'by-lane';
    this.#places = settings.places ?? placesOn(devices[0]!.provider);
    this.#graphs = settings.graphs ?? new PackGraphs(parts, kernelsOn(devices[0]!.provider));
    this.#contexts = new TextContexts(() => this.#loadTextEncoder());
    this.latentShape = parts.latentShape;
    this.cutoutSize = parts.referee.imageSize;
    this.alphasCumprod = alphasCumprod(parts.scheduler);
    this.predictionType = parts.scheduler.predictionType;
    const { stepsOffset, setAlphaToOne, timestepSpacing } = parts.scheduler;
    this.ddim = { stepsOffset, setAlphaToOne, timestepSpacing };
  }

  async alignment(input: AlignmentInput): Promise<AlignmentOutput> {
    const hasContrast = input.weights.itc.some((weight) => weight !== 0);
    const groups = this.#groups(input);
    const answers = groups.map(async ({ adjoint, lanes }): Promise<AlignmentOutput> => {
      const [own, form] = [selectLanes(input, lanes), { adjoint, hasContrast }];
      const { plan } = this;
      const outputs = plan.kind === 'fused' ? await this.#fused(own, form) : await this.#split(own, form, plan.cutouts);
      const { gradient, itm, itg, itc } = outputs;
      return { gradient: floats(gradient), itm: floats(itm), itg: floats(itg), ...(itc && { itc: floats(itc) }) };
    });
    return joinLanes(groups, await Promise.all(answers));
  }

  async guidance({ lanes, noisy, timesteps, guidance, prompts }: GuidanceInput): Promise<Float32Array> {
    const { textEncoder } = this.parts;
    const context = (pick: (prompt: LanePrompt) => Float32Array): Tensor =>
      float([lanes, textEncoder.tokens, textEncoder.config.hidden_size], concatenate(prompts.map(pick)));
    // An arena of its own would lie idle beside the alignment's for most of a step.
    const sessions = await this.#load('guidance', { kind: 'guidance' }, 'small');
    const feeds: Feeds = {
      noisy: float([lanes, ...this.latentShape], noisy),
      timesteps: float([lanes], timesteps),
      guidance: float([lanes], guidance),
      context_null: context((prompt) => prompt.contextNull),
      context_prompt: context((prompt) => prompt.contextPrompt),
    };
    // The last device begins, so that one lane's guidance and alignment run side by side.
    return floats((await runLanes([...sessions].reverse(), feeds, lanes))['output']);
  }

  async score({ lanes, latents, prompts }: ScoreInput): Promise<Float32Array> {
    const sessions = await this.#load('score', { kind: 'score' });
    const feeds = { latents: float([lanes, ...this.latentShape], latents), ...this.#text(prompts) };
    return floats((await runLanes(sessions, feeds, lanes))['match']);
  }

  async decode(latents: Float32Array, lanes: number): Promise<Float32Array> {
    const sessions = await this.#load('decode', { kind: 'decode' });
    return floats(
      (await runLanes(sessions, { latents: float([lanes, ...this.latentShape], latents) }, lanes))['image'],
    );
  }

  /** Calls and seconds of every graph, all devices together. */
  async stats(): Promise<readonly DeviceStats[]> {
    return Promise.all(this.#devices.map((device) => device.stats()));
  }

  /** Every stage from latents to pixel values of one call, and the gradients by image and pixel values; for comparisons. */
  async stages(input: AlignmentInput): Promise<Record<string, Float32Array>> {
    const { lanes, cutoutsPerLane: n } = input;
    const groups = this.#groups(input);
    const form = { adjoint: groups.length === 1 ? groups[0]!.adjoint : 'scatter', hasContrast: false } as const;
    const latents = float([lanes, ...this.latentShape], input.latents);
    const feeds = this.#refereeFeeds(input, input.cutouts, n);
    const options = this.#alignmentOptions(form, n);
    const [stages] = await this.#load(graphName('stages', options), { kind: 'stages', options });
    const [referees] = await this.#load(graphName('referees', options), { kind: 'referees', options });
    const outputs = await stages!.run({ latents, ...feeds });
    const { gradient } = await referees!.run({ image: outputs['image']!, ...feeds });
    const named = Object.entries({ ...outputs, gradient_image: gradient });
    return Object.fromEntries(named.map(([name, tensor]) => [name, floats(tensor)]));
  }

  async #fused(input: AlignmentInput, form: Form): Promise<Feeds> {
    const options = this.#alignmentOptions(form, input.cutoutsPerLane);
    const sessions = await this.#load(graphName('alignment', options), { kind: 'alignment', options });
    const feeds: Feeds = {
      latents: float([input.lanes, ...this.latentShape], input.latents),
      ...this.#refereeFeeds(input, input.cutouts, input.cutoutsPerLane),
    };
    return runLanes(sessions, feeds, input.lanes);
  }

  /** Decode; the referees on `size` cutouts at a time, their gradients by the picture added up; the decoder's adjoint. */
  async #split(input: AlignmentInput, form: Form, size: number): Promise<Feeds> {
    const { lanes, cutoutsPerLane: n } = input;
    const latents = float([lanes, ...this.latentShape], input.latents);
    const decoders = await this.#load('decode', { kind: 'decode' });
    const { image } = await runLanes(decoders, { latents }, lanes);
    const total = new Float32Array(image!.data.length);
    const losses: Record<string, Float32Array> = {};
    for (let from = 0; from < n; from += size) {
      const count = Math.min(size, n - from);
      const options = this.#alignmentOptions(form, count);
      const sessions = await this.#load(graphName('referees', options), { kind: 'referees', options });
      const cutouts = cutoutRange(input.cutouts, { lanes, n, from, count });
      const outputs = await runLanes(sessions, { image: image!, ...this.#refereeFeeds(input, cutouts, count) }, lanes);
      const { gradient, ...rest } = outputs;
      floats(gradient).forEach((value, at) => (total[at]! += value));
      for (const [loss, tensor] of Object.entries(rest)) {
        const all = (losses[loss] ??= new Float32Array(lanes * n));
        const values = floats(tensor);
        for (let lane = 0; lane < lanes; lane += 1)
          all.set(values.subarray(lane * count, (lane + 1) * count), lane * n + from);
      }
    }
    const adjoints = await this.#load('decode-vjp', { kind: 'decode-vjp' });
    const cotangent = float(image!.shape, total);
    const { gradient } = await runLanes(adjoints, { latents, 'cotangent.image': cotangent }, lanes);
    const perCutout = Object.entries(losses).map(([name, values]) => [name, float([lanes * n], values)] as const);
    return { gradient: gradient!, ...Object.fromEntries(perCutout) };
  }

  #groups(input: AlignmentInput): readonly LaneGroup[] {
    if (this.#adjoint === 'by-lane') return groupByAdjoint(input, this.cutoutSize);
    return [{ adjoint: this.#adjoint, lanes: Array.from({ length: input.lanes }, (_, lane) => lane) }];
  }

  #alignmentOptions(form: Form, cutouts: number): AlignmentOptions {
    return { cutouts, ...form, places: this.#places };
  }

  /** Feeds of the referees' part for `count` cutouts of each lane. Weights are divided by all cutouts of the lane. */
  #refereeFeeds(input: AlignmentInput, cutouts: CutoutParameters, count: number): Feeds {
    const { lanes, weights, noiseScale, prompts, cutoutsPerLane } = input;
    const share = (weight: Float32Array): Tensor =>
      float(
        [lanes, 1],
        weight.map((value, lane) => (value * weights.vlm[lane]!) / cutoutsPerLane),
      );
    return {
      ...cutoutFeeds(cutouts, { rows: lanes * count, lanes, size: this.cutoutSize, places: this.#places }),
      'cutouts.noiseScale': float([lanes], noiseScale),
      ...this.#text(prompts),
      decoder_ids: this.#tokens(prompts.map((prompt) => prompt.decoderIds)),
      label_smoothing: float([lanes, 1], weights.labelSmoothing),
      weight_itm: share(weights.itm),
      weight_itg: share(weights.itg),
      ...(weights.itc.some((weight) => weight !== 0) && { weight_itc: share(weights.itc) }),
    };
  }

  #text(prompts: readonly LanePrompt[]): Feeds {
    return {
      referee_ids: this.#tokens(prompts.map((prompt) => prompt.refereeIds)),
      referee_mask: this.#tokens(prompts.map((prompt) => prompt.refereeMask)),
    };
  }

  #tokens(rows: readonly BigInt64Array[]): Tensor {
    const { tokens } = this.parts.referee;
    const data = new Int32Array(rows.length * tokens);
    rows.forEach((row, lane) => data.set(Array.from(row, Number), lane * tokens));
    return { dtype: 'int32', shape: [rows.length, tokens], data };
  }

  /** Text context of token ids, [T, D]. Computed once per text that is in use. */
  encodeText(ids: readonly number[]): Promise<Float32Array> {
    return this.#contexts.of(ids);
  }

  /** On the first device. It stays where it is small, or has memory of its own and steps are short. */
  async #loadTextEncoder(): Promise<TextEncoder> {
    const device = this.#devices[0]!;
    const graph = this.#graphs.take({ kind: 'encode-text' });
    const session = await device.load(writeModel(graph), { name: 'encode-text', weightsRoot: '/' });
    return { session, stays: device.provider !== 'cpu' || weightBytes(graph) < SMALL_ENCODER };
  }

  /** Sessions of a graph, one per device. */
  #load(name: string, graph: GraphRequest, memory?: MemoryMode): Promise<readonly Session[]> {
    const options = { name, weightsRoot: '/', ...(memory && { memory }) };
    return remembered(this.#sessions, name, async () =>
      loadAll(this.#devices, writeModel(this.#graphs.take(graph)), options),
    );
  }
}

/** On every device, or on none: a graph that one has no memory for gives back that of the others. */
async function loadAll(
  devices: readonly Device[],
  model: Uint8Array,
  options: SessionOptions,
): Promise<readonly Session[]> {
  const loads = await Promise.allSettled(devices.map((device) => device.load(model, options)));
  const sessions = loads.flatMap((load) => (load.status === 'fulfilled' ? [load.value] : []));
  const failed = loads.find((load) => load.status === 'rejected');
  if (!failed) return sessions;
  await Promise.allSettled(sessions.map((session) => session.release()));
  throw failed.reason;
}

/** Made once; what failed is tried again by whoever asks next. */
function remembered<T>(all: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = all.get(key);
  if (known) return known;
  const made = make();
  all.set(key, made);
  made.catch(() => all.delete(key));
  return made;
}

/** Tells apart what one model builds in several forms. */
function graphName(kind: string, { cutouts, hasContrast, adjoint }: AlignmentOptions): string {
  return `${kind}-${cutouts}${hasContrast ? '-itc' : ''}${adjoint === 'scatter' ? '-scatter' : ''}`;
}

interface CutoutFeedOptions {
  /** Cutouts, all lanes together. */
  readonly rows: number;
  readonly lanes: number;
  readonly size: number;
  readonly places: AlignmentOptions['places'];
}

/** The graph inputs that `cutoutInputs` declares, filled. */
function cutoutFeeds(of: CutoutParameters, { rows, lanes, size, places }: CutoutFeedOptions): Feeds {
  const inverse = (data: Float64Array): Tensor =>
    places === 'float64'
      ? { dtype: 'float64', shape: [rows, 3, 3], data }
      : float([rows, 3, 3], Float32Array.from(data));
  return {
    'cutouts.affine': float([rows, 3, 3], of.affine),
    'cutouts.affineInverse': inverse(of.affineInverse),
    'cutouts.affineFlag': float([rows], of.affineFlag),
    'cutouts.perspective': float([rows, 3, 3], of.perspective),
    'cutouts.perspectiveInverse': inverse(of.perspectiveInverse),
    'cutouts.perspectiveFlag': float([rows], of.perspectiveFlag),
    'cutouts.jitterFlag': float([rows], of.jitterFlag),
    'cutouts.jitterFactors': float([rows, 4], of.jitterFactors),
    'cutouts.jitterOrder': { dtype: 'int32', shape: [lanes, 4], data: of.jitterOrder },
    'cutouts.eraseRectangle': float([lanes, 4], of.eraseRectangle),
    'cutouts.noiseFactor': float([rows], of.noiseFactor),
    'cutouts.noise': float([rows, 3, size, size], of.noise),
    'cutouts.noise2': float([rows, 3, size, size], of.noise2),
  };
}

/** Cutouts `from` up to `from + count` of every lane. */
function cutoutRange(
  of: CutoutParameters,
  { lanes, n, from, count }: { lanes: number; n: number; from: number; count: number },
): CutoutParameters {
  const indices = Array.from({ length: lanes * count }, (_, i) => Math.floor(i / count) * n + from + (i % count));
  return selectCutouts(of, indices);
}

function float(shape: readonly number[], data: Float32Array): Tensor {
  if (data.length !== elementCount(shape)) {
    throw new RefereeError('Internal', `expected ${elementCount(shape)} values, found ${data.length}`);
  }
  return { dtype: 'float32', shape, data };
}

function floats(tensor: Tensor | undefined): Float32Array {
  if (tensor?.dtype !== 'float32')
    throw new RefereeError('Internal', `expected a float32 output, found ${tensor?.dtype ?? 'none'}`);
  return tensor.data as Float32Array;
}
