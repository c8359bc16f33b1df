/**
 * @file Before a worker takes work: every model of a search is loaded and called once, on a search that nobody asked for.
 */
import { noiseBank } from '../inversion/noise-bank.ts';
import { philoxNoise } from '../inversion/noise.ts';
import { resolveOptions } from '../inversion/options.ts';
import { LaneScheduler } from '../inversion/search.ts';
import type { Engine } from './engine.ts';
import { packDefaults } from './specs.ts';

/** Of a prompt without words; every tokenizer has tokens for it. */
const PROMPT = '';

/** @throws what the first item would have met */
export async function selfTest(engine: Engine): Promise<void> {
  const { models, pack, tokenizer } = engine;
  const options = resolveOptions(packDefaults(pack), { method: 'search', steps: 1 });
  const prompt = await engine.preparePrompt(tokenizer.tokenize(PROMPT, options));
  const noise = philoxNoise(0, noiseBank(3 * models.cutoutSize ** 2));
  const requests = [{ id: 'self-test', prompt, options, noise }];
  for await (const event of new LaneScheduler(models, { lanes: 1, checkpointEvery: 1 }).run(requests)) {
    if (event.kind === 'failed') throw event.error;
    if (event.kind !== 'done') continue;
    await models.decode(event.latent, 1);
    await models.score({ lanes: 1, latents: event.latent, prompts: [prompt] });
  }
}
