/**
 * @file Verdicts of a judge that took no part in the search, where the pack names one.
 */
import { parsePrompt } from '../judge/prompt.ts';
import { judgeImage } from '../judge/verdict.ts';
import type { Pack } from '../models/packs/resolve.ts';

/** pixels01 [3, H, W] in 0..1 -> scores by name; none where the pack has no judge or the prompt is not in the judge's language. */
export function judgeScores(pack: Pack, prompt: string, pixels01: Float32Array): Record<string, number> {
  if (pack.manifest.judge !== 'shapes') return {};
  const spec = parsePrompt(prompt);
  if (!spec) return {};
  const verdict = judgeImage(pixels01, spec);
  return { judge: verdict.strict ? 1 : 0, recall: verdict.recall };
}
