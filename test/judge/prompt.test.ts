import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parsePrompt, promptText } from '../../judge/prompt.ts';
import { COLOURS, RELATIONS, SHAPES, type SceneGroup, type SceneSpec } from '../../judge/scene.ts';
import { fixturePath } from '../support/fixtures.ts';

interface HeldOut {
  readonly prompt: string;
  readonly spec: { readonly groups: readonly (readonly [number, number, number])[]; readonly rel: number | null };
}

const heldOut = JSON.parse(readFileSync(fixturePath('shapes-prompts/prompts.json'), 'utf8')) as readonly HeldOut[];

test.each(heldOut)('"$prompt" means what its generator meant', ({ prompt, spec }) => {
  const groups = spec.groups.map(([count, colour, shape]) => [count, COLOURS[colour], SHAPES[shape]]);
  expect(parsePrompt(prompt)).toEqual({ groups, relation: spec.rel === null ? null : RELATIONS[spec.rel] });
});

test.each(heldOut)('"$prompt" is written as its generator wrote it', ({ prompt }) => {
  expect(promptText(parsePrompt(prompt)!)).toBe(prompt);
});

const group = (counts: readonly number[]): fc.Arbitrary<SceneGroup> =>
  fc.tuple(fc.constantFrom(...counts), fc.constantFrom(...COLOURS), fc.constantFrom(...SHAPES));
const specs: fc.Arbitrary<SceneSpec> = fc.oneof(
  fc.record({
    groups: fc.uniqueArray(group([1, 2, 3, 4]), {
      minLength: 1,
      maxLength: 5,
      selector: ([, colour, shape]) => `${colour} ${shape}`,
    }),
    relation: fc.constant(null),
  }),
  fc.record({ groups: fc.tuple(group([1]), group([1])), relation: fc.constantFrom(...RELATIONS) }),
);

test('the text of any scene parses to the scene', () => {
  fc.assert(
    fc.property(specs, (spec) => {
      expect(parsePrompt(promptText(spec))).toEqual(spec);
    }),
  );
});

test('spaces around commas, case and a full stop do not matter', () => {
  fc.assert(
    fc.property(specs, (spec) => {
      const text = promptText(spec);
      expect(parsePrompt(text.replaceAll(' , ', ', '))).toEqual(spec);
      expect(parsePrompt(text.replaceAll(' , ', ','))).toEqual(spec);
      expect(parsePrompt(`  ${text.toUpperCase().replaceAll(' ', '  ')} .`)).toEqual(spec);
    }),
  );
});

test('any other text has no meaning rather than an exception', () => {
  const words = fc.constantFrom('a', 'two', 'red', 'circle', 'circles', 'and', ',', 'above', 'left', 'of', 'to', 'the');
  const texts = fc.oneof(
    fc.string(),
    fc.array(words, { maxLength: 12 }).map((list) => list.join(' ')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const spec = parsePrompt(text);
      if (spec) expect(parsePrompt(promptText(spec))).toEqual(spec);
    }),
    { numRuns: 2000 },
  );
});

describe('variants', () => {
  test.each([
    ['a photo of two red circles', 'two red circles'],
    ['a photo exactly contains a red circle', 'a red circle'],
    ['an image of the red circle', 'a red circle'],
    ['one red circle, and two green crosses', 'a red circle and two green crosses'],
    ['a red circle and a blue square and a green cross', 'a red circle , a blue square and a green cross'],
    ['a red circle left of a blue square', 'a red circle to the left of a blue square'],
    ['the red circle on the right of the blue square', 'a red circle to the right of a blue square'],
  ])('"%s" means "%s"', (variant, plain) => {
    expect(parsePrompt(plain)).toBeDefined();
    expect(parsePrompt(variant)).toEqual(parsePrompt(plain));
  });
});

test.each([
  '',
  'and',
  'red circle',
  'a circle',
  'a red',
  'a pink circle',
  'a red hexagon',
  'two red circle',
  'a red circles',
  'five red circles',
  'a small red circle',
  'no red circle',
  'a red circle a blue square',
  'a red circle and',
  'a red circle , , a blue square',
  'a red circle or a blue square',
  'a red circle not above a blue square',
  'a red circle above',
  'two red circles above a blue square',
  'a red circle above a blue square and a green cross',
  'a red circle and a red circle',
  'two red circles and a red circle',
  'a red circle, a blue square above a green cross',
  'a constructor red circle',
  'a photo of',
])('"%s" has no meaning here', (prompt) => {
  expect(parsePrompt(prompt)).toBeUndefined();
});
