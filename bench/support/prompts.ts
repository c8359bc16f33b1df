/**
 * @file Prompts of the shapes world in any number: every pair of two different things beside each other, then other seeds.
 */
import type { RunItemRequest } from '../../activities/run-contract.ts';

const THINGS = ['red', 'green', 'blue', 'yellow', 'purple'].flatMap((colour) =>
  ['circle', 'square', 'triangle', 'cross'].map((shape) => `a ${colour} ${shape}`),
);
const RELATIONS = ['to the left of', 'to the right of', 'above', 'below'];
const PROMPTS = THINGS.flatMap((one) =>
  THINGS.filter((other) => other !== one).flatMap((other) => RELATIONS.map((between) => `${one} ${between} ${other}`)),
);

export function shapesRequests(count: number): RunItemRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    prompt: PROMPTS[index % PROMPTS.length]!,
    seed: Math.floor(index / PROMPTS.length),
    overrides: {},
    tags: [],
    metadata: {},
  }));
}
