/**
 * @file The graphs of a pack. All take a symbolic leading dimension B, the lanes of a call, and keep lanes apart: what a
 * lane gets depends on its own rows alone.
 */
import * as autoencoder from '../architectures/autoencoder-kl.ts';
import { matchAndGenerate } from '../architectures/blip2-joint.ts';
import * as blip2 from '../architectures/blip2.ts';
import { encodeText } from '../architectures/clip-text.ts';
import { predict } from '../architectures/unet-2d-condition.ts';
import { vjp } from '../autodiff/differentiate.ts';
import type { CutoutOptions, CutoutSizes } from '../nn/cutouts.ts';
import { cutoutInputs, cutouts } from '../nn/cutouts.ts';
import type { OwnAdjoint } from '../nn/own-adjoint.ts';
import { normalise } from '../nn/pixel-values.ts';
import { poolToSize } from '../nn/pool-to-size.ts';
import { repeatAlong } from '../nn/repeat.ts';
import { Scope } from '../nn/scope.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import type { Kernels } from './kernels.ts';
import { adjointRules, finished } from './kernels.ts';
import type { PackParts } from './parts.ts';

/** The lanes of a call. */
const LANES = 'B';

/** input_ids [B, T] int64 -> context [B, T, D]. */
export function encodeTextGraph({ textEncoder }: PackParts, kernels: Kernels = 'cpu'): Graph {
  const b = new GraphBuilder('encode-text');
  const ids = b.input('input_ids', 'int64', [LANES, textEncoder.tokens]);
  const scope = new Scope(textEncoder.weights, { model: 'text_encoder' });
  b.output('context', encodeText(b, scope, textEncoder.config, { ids }).lastHiddenState);
  return finished(b.build(), kernels);
}

/**
 * noisy [B, C, h, w], timesteps [B], context_null and context_prompt [B, T, D], guidance [B] -> output [B, C, h, w], the
 * diffusion model's o_u + g (o_c - o_u): one call on 2B rows.
 */
export function guidanceGraph(parts: PackParts, kernels: Kernels = 'cpu'): Graph {
  const { unet, textEncoder, latentShape, scheduler } = parts;
  const b = new GraphBuilder('guidance');
  const noisy = b.input('noisy', 'float32', [LANES, ...latentShape]);
  const timesteps = b.input('timesteps', 'float32', [LANES]);
  const contextShape = [LANES, textEncoder.tokens, textEncoder.config.hidden_size];
  const contextNull = b.input('context_null', 'float32', contextShape);
  const contextPrompt = b.input('context_prompt', 'float32', contextShape);
  const guidance = b.input('guidance', 'float32', [LANES]);
  const both = predict(b, new Scope(unet.weights, { model: 'unet' }), unet.config, {
    sample: op.concat(b, [noisy, noisy], 0),
    timestep: op.concat(b, [timesteps, timesteps], 0),
    // In float64 otherwise, which not every provider has.
    ...(kernels === 'webgpu' && { timestepsBelow: scheduler.trainTimesteps }),
    encoderHiddenStates: op.concat(b, [contextNull, contextPrompt], 0),
  });
  // [2B, ...] -> [2, B, ...]: unconditional rows first.
  const halves = op.reshape(b, both, [2, LANES, ...latentShape]);
  const [unconditional, conditional] = [0, 1].map((half) => op.gather(b, halves, b.scalar(half, 'int64'), 0)) as [Value, Value];
  const scale = op.reshape(b, guidance, [LANES, 1, 1, 1]);
  b.output('output', op.add(b, unconditional, op.mul(b, scale, op.sub(b, conditional, unconditional))));
  return finished(b.build(), kernels);
}

/** latents [B, C, h, w] -> image [B, 3, H, W] in 0..1. */
export function decodeGraph(parts: PackParts, kernels: Kernels = 'cpu'): Graph {
  const b = new GraphBuilder('decode');
  b.output('image', decodeImage(b, parts, latentsInput(b, parts)));
  return finished(b.build(), kernels);
}

/** latents [B, C, h, w], cotangent.image [B, 3, H, W] -> gradient [B, C, h, w]. */
export function decodeVjpGraph(parts: PackParts, kernels: Kernels = 'cpu'): Graph {
  const b = new GraphBuilder('decode-vjp');
  const latents = latentsInput(b, parts);
  const image = decodeImage(b, parts, latents);
  const cotangent = b.input('cotangent.image', 'float32', image.shape);
  const [gradient] = vjp(b, [{ value: image, cotangent }], [latents], { overrides: adjointRules(b, kernels) });
  b.output('gradient', gradient ?? op.zerosLike(b, latents));
  return finished(b.build(), kernels);
}

/** latents [B, C, h, w], referee_ids and referee_mask [B, N] -> match [B]: probability that the picture shows the text. */
export function scoreGraph(parts: PackParts, kernels: Kernels = 'cpu'): Graph {
  const b = new GraphBuilder('score');
  const { referee } = parts;
  const latents = latentsInput(b, parts);
  const text = textInputs(b, parts);
  const image = poolToSize(b, decodeImage(b, parts, latents), referee.imageSize).output;
  const pixels = normalise(b, image, referee);
  const scope = new Scope(referee.weights, { model: 'referee' });
  const seen = scope.enter(b, 'vision_model', (w) => blip2.visionTower(b, w, referee.config.vision_config, pixels));
  const logits = blip2.matchingLogits(b, scope, referee.config, { image: seen, ids: text.ids, mask: text.mask });
  b.output('match', blip2.matchProbabilities(b, logits));
  return finished(b.build(), kernels);
}

export interface AlignmentOptions {
  /** n, cutouts per lane. */
  readonly cutouts: number;
  /** Whether the contrastive loss is computed too. */
  readonly hasContrast: boolean;
  /** Form of the warps' adjoint: gathering is quicker and adds in one order on every device, scattering has no windows. */
  readonly adjoint: CutoutOptions['adjoint'];
  /** Type of the warps' places. */
  readonly places: NonNullable<CutoutSizes['places']>;
  /** Which cutouts a step computes; by default `flagged` with places in float64, which CPUs have. */
  readonly rows?: CutoutOptions['rows'];
  /** Those of onnxruntime's CPU provider by default. */
  readonly kernels?: Kernels;
}

/**
 * Plan "fused": latents, cutout parameters, tokens and weights -> itm, itg (itc) [B n] per cutout, and gradient
 * [B, C, h, w] of the sum over each lane's cutouts of weight_itm ITM + weight_itg ITG + weight_itc ITC.
 */
export function alignmentGraph(parts: PackParts, options: AlignmentOptions): Graph {
  const b = new GraphBuilder('alignment');
  const latents = latentsInput(b, parts);
  appendReferees(b, parts, options, { image: decodeImage(b, parts, latents), wrt: latents, shape: parts.latentShape });
  return finished(b.build(), kernelsOf(options));
}

/** Plan "split", second part: as `alignmentGraph`, from image [B, 3, H, W] to gradient [B, 3, H, W]. */
export function refereesGraph(parts: PackParts, options: AlignmentOptions): Graph {
  const b = new GraphBuilder('referees');
  const image = b.input('image', 'float32', [LANES, 3, ...parts.imageSize]);
  appendReferees(b, parts, options, { image, wrt: image, shape: [3, ...parts.imageSize] });
  return finished(b.build(), kernelsOf(options));
}

/**
 * Every stage on the way from latents to pixel values, and the gradient by the pixel values: for comparison with
 * recordings, never for a search. Inputs as `alignmentGraph`.
 */
export function stagesGraph(parts: PackParts, options: AlignmentOptions): Graph {
  const b = new GraphBuilder('stages');
  const image = decodeImage(b, parts, latentsInput(b, parts));
  b.output('image', image);
  const { stages, pixels, losses, cotangents, logits } = appendLosses(b, parts, options, image);
  for (const [name, value] of Object.entries(stages)) b.output(name, value);
  b.output('pixel_values', pixels);
  b.output('itm_logits', logits);
  const outputs = losses.map(({ value }, at) => ({ value, cotangent: cotangents[at]! }));
  b.output('gradient_pixel_values', vjp(b, outputs, [pixels])[0] ?? op.zerosLike(b, pixels));
  return finished(b.build(), kernelsOf(options));
}

interface Differentiated {
  readonly image: Value;
  readonly wrt: Value;
  /** Of one lane's gradient. */
  readonly shape: readonly number[];
}

/** Cutouts, losses and the gradient. */
function appendReferees(
  b: GraphBuilder,
  parts: PackParts,
  options: AlignmentOptions,
  { image, wrt, shape }: Differentiated,
): void {
  const { losses, cotangents, adjoints } = appendLosses(b, parts, options, image);
  for (const { name, value } of losses) b.output(name, value);
  const outputs = losses.map(({ value }, at) => ({ value, cotangent: cotangents[at]! }));
  const [gradient] = vjp(b, outputs, [wrt], { overrides: adjointRules(b, kernelsOf(options), adjoints) });
  b.output('gradient', op.reshape(b, gradient ?? op.zerosLike(b, wrt), [LANES, ...shape]));
}

interface Losses {
  readonly stages: Readonly<Record<string, Value>>;
  /** [B n, 3, S, S] */
  readonly pixels: Value;
  /** Of the matching head, [B n, 2]. */
  readonly logits: Value;
  /** Each [B n]. */
  readonly losses: readonly { readonly name: string; readonly value: Value }[];
  /** Of the losses, in their order: the lanes' weights. */
  readonly cotangents: readonly Value[];
  readonly adjoints: readonly OwnAdjoint[];
}

/** image [B, 3, H, W] -> every loss of every cutout. */
function appendLosses(b: GraphBuilder, parts: PackParts, options: AlignmentOptions, image: Value): Losses {
  const { referee } = parts;
  const { cutouts: n, places, rows = places === 'float64' ? 'flagged' : 'all' } = options;
  const inputs = cutoutInputs(b, { n, S: referee.imageSize, lanes: LANES, places });
  const { output: pixels, stages, adjoints } = b.scope('cutouts', () =>
    cutouts(b, image, inputs, { mean: referee.mean, std: referee.std, adjoint: options.adjoint, rows }),
  );
  const text = textInputs(b, parts);
  const ids = repeatAlong(b, text.ids, { axis: 0, copies: n });
  const mask = repeatAlong(b, text.mask, { axis: 0, copies: n });
  const decoderIds = b.input('decoder_ids', 'int32', [LANES, referee.tokens]);
  const smoothing = repeatAlong(b, b.input('label_smoothing', 'float32', [LANES, 1]), { axis: 0, copies: n });

  const scope = new Scope(referee.weights, { model: 'referee' });
  const { config } = referee;
  const seen = scope.enter(b, 'vision_model', (w) => blip2.visionTower(b, w, config.vision_config, pixels));
  const { logits, scores } = matchAndGenerate(b, scope, config, { image: seen, ...text, decoderIds });
  const losses = [
    { name: 'itm', value: blip2.matchingLosses(b, logits) },
    { name: 'itg', value: blip2.generationLoss(b, scores, { ids, mask, labelSmoothing: smoothing }).rows },
  ];
  if (options.hasContrast) {
    const value = b.scope('itc', () => blip2.contrastLosses(b, scope, config, { image: seen, ids, mask }));
    losses.push({ name: 'itc', value });
  }
  const cotangents = losses.map(({ name, value }) => {
    const weight = b.input(`weight_${name}`, 'float32', [LANES, 1]);
    return op.reshape(b, repeatAlong(b, weight, { axis: 0, copies: n }), value.shape);
  });
  return { stages: { ...stages }, pixels, logits, losses, cotangents, adjoints };
}

function kernelsOf({ kernels = 'cpu' }: AlignmentOptions): Kernels {
  return kernels;
}

function latentsInput(b: GraphBuilder, { latentShape }: PackParts): Value {
  return b.input('latents', 'float32', [LANES, ...latentShape]);
}

/** int32: GPUs have few kernels for int64. */
function textInputs(b: GraphBuilder, { referee }: PackParts): { ids: Value; mask: Value } {
  return {
    ids: b.input('referee_ids', 'int32', [LANES, referee.tokens]),
    mask: b.input('referee_mask', 'int32', [LANES, referee.tokens]),
  };
}

/** x = clamp(D(z/s + shift)/2 + 1/2, 0, 1) */
function decodeImage(b: GraphBuilder, { decoder }: PackParts, latents: Value): Value {
  const scope = new Scope(decoder.weights, { model: 'vae' });
  const decoded = autoencoder.decode(b, scope, decoder.config, autoencoder.unscaleLatent(b, decoder.config, latents));
  return op.clip(b, op.addScalar(b, op.mulScalar(b, decoded, 0.5), 0.5), { min: 0, max: 1 });
}
