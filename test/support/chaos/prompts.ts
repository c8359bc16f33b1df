/** @file Prompts of the shapes world in any number, the first `SHAPES_PROMPTS` of them all different. */
const THINGS = ['red', 'green', 'blue', 'yellow', 'purple', 'orange'].flatMap((colour) =>
  ['circle', 'square', 'triangle', 'cross'].map((shape) => `${colour} ${shape}`),
);
const LINKS = ['and', 'above', 'below', 'to the left of', 'to the right of'];

/** How many there are; then they begin again. */
export const SHAPES_PROMPTS = THINGS.length ** 2 * LINKS.length;

/** The `at`-th, from 0. */
export function shapesPrompt(at: number): string {
  const n = THINGS.length;
  const first = THINGS[at % n]!;
  // A step that is prime to the number of things: neighbours differ in both.
  const second = THINGS[(at * 7 + 5 + Math.floor(at / n)) % n]!;
  return `a ${first} ${LINKS[Math.floor(at / (n * n)) % LINKS.length]!} a ${second}`;
}
