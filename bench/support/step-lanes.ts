/**
 * @file Lanes at the start of their searches, for steps that are timed.
 */
import type { Engine } from '../../activities/engine.ts';
import { packDefaults } from '../../activities/specs.ts';
import type { StepLane } from '../../inversion/lane.ts';
import { noiseBank } from '../../inversion/noise-bank.ts';
import { philoxNoise } from '../../inversion/noise.ts';
import { initialState } from '../../inversion/state.ts';

const PROMPTS = [
  'a red circle to the left of a blue square',
  'two green crosses',
  'an orange triangle',
  'a purple square',
];

/** With the pack's own options; lane `at` has the seed `at` from `firstSeed` on. */
export async function stepLanes(engine: Engine, count: number, firstSeed = 0): Promise<StepLane[]> {
  const options = packDefaults(engine.pack);
  const bank = noiseBank(3 * engine.models.cutoutSize ** 2);
  const [channels, height, width] = engine.models.latentShape;
  return Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const noise = philoxNoise(firstSeed + at, bank);
      const prompt = await engine.preparePrompt(engine.tokenizer.tokenize(PROMPTS[at % PROMPTS.length]!, options));
      return { prompt, options, noise, state: initialState(options, noise, { count: channels * height * width }) };
    }),
  );
}
