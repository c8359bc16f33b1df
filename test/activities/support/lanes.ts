/**
 * @file Lanes of the shapes pack at different places of their searches, and calls of the models with some of them.
 */
import { concatenate, stackCutouts } from '../../../inversion/augment.ts';
import type { AlignmentInput, LanePrompt, SearchModels } from '../../../inversion/models.ts';
import { noiseBank } from '../../../inversion/noise-bank.ts';
import { philoxNoise } from '../../../inversion/noise.ts';
import { SHAPES_DEFAULTS } from '../../../inversion/options.ts';
import { lanePrompt, PromptTokenizer } from '../../../activities/prompts.ts';
import type { PackModels } from '../../../activities/pack-models.ts';
import type { Pack } from '../../../models/packs/resolve.ts';

const PROMPTS = [
  'a red circle',
  'two green squares and a blue cross',
  'a yellow triangle above a purple circle',
  'an orange cross',
  'three red triangles',
  'a blue square below a green circle',
  'a purple square',
  'a red circle , a blue square and a green cross',
];
const CUTOUTS = SHAPES_DEFAULTS.cutouts;

export interface TestLane {
  readonly prompt: LanePrompt;
  readonly latent: Float32Array;
  readonly cutouts: AlignmentInput['cutouts'];
  readonly timestep: number;
}

/** Eight different lanes. */
export async function testLanes(pack: Pack, models: PackModels): Promise<TestLane[]> {
  const tokenizer = await PromptTokenizer.open(pack);
  const bank = noiseBank(3 * models.cutoutSize ** 2);
  const [channels, height, width] = models.latentShape;
  return Promise.all(
    PROMPTS.map(async (text, at): Promise<TestLane> => {
      const tokens = tokenizer.tokenize(text, SHAPES_DEFAULTS);
      const contexts = {
        null: await models.encodeText(tokens.nullIds),
        prompt: await models.encodeText(tokens.promptIds),
      };
      const noise = philoxNoise(at + 1, bank);
      return {
        prompt: lanePrompt(tokens, contexts),
        latent: noise.initialLatent(channels * height * width, 0),
        cutouts: noise.cutouts(at, SHAPES_DEFAULTS, models.cutoutSize),
        timestep: 100 + 100 * at,
      };
    }),
  );
}

/** Everything that the models compute for these lanes in one call each; arrays run over the lanes. */
export async function callAll(
  models: SearchModels,
  lanes: readonly TestLane[],
  { itcWeight = 0 } = {},
): Promise<Record<string, Float32Array>> {
  const count = lanes.length;
  const all = (value: number): Float32Array => new Float32Array(count).fill(value);
  const latents = concatenate(lanes.map(({ latent }) => latent));
  const prompts = lanes.map(({ prompt }) => prompt);
  const { gradient, itm, itg, itc } = await models.alignment({
    lanes: count,
    cutoutsPerLane: CUTOUTS,
    latents,
    prompts,
    cutouts: stackCutouts(lanes.map(({ cutouts }) => cutouts)),
    noiseScale: all(SHAPES_DEFAULTS.noiseScale),
    weights: { itm: all(1), itg: all(1), itc: all(itcWeight), vlm: all(1), labelSmoothing: all(0.1) },
  });
  const timesteps = Float32Array.from(lanes, ({ timestep }) => timestep);
  return {
    gradient,
    itm,
    itg,
    ...(itc && { itc }),
    guided: await models.guidance({ lanes: count, noisy: latents, timesteps, guidance: all(10), prompts }),
    score: await models.score({ lanes: count, latents, prompts }),
    image: await models.decode(latents, count),
  };
}
