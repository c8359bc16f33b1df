/**
 * @file Requests for pictures of the shapes world in any number: every prompt there is, then the same with other seeds.
 */
import type { RunItemRequest } from '../../activities/run-contract.ts';
import { SHAPES_PROMPTS, shapesPrompt } from '../../test/support/chaos/prompts.ts';

export function shapesRequests(count: number): RunItemRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    prompt: shapesPrompt(index),
    seed: Math.floor(index / SHAPES_PROMPTS),
    overrides: {},
    tags: [],
    metadata: {},
  }));
}
