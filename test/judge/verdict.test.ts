import { describe, expect, test } from 'vitest';

import { addNoise, blur } from '../../judge/disturb.ts';
import { SIZE, toPicture, type Picture } from '../../judge/picture.ts';
import { parsePrompt } from '../../judge/prompt.ts';
import { seededRandom } from '../../judge/random.ts';
import { drawScene } from '../../judge/render.ts';
import type { SceneSpec } from '../../judge/scene.ts';
import { judgeImage } from '../../judge/verdict.ts';
import { pythonCases } from './support/python-judge.ts';
import { GROUND, describedScenes, placed } from './support/scenes.ts';

function asked(prompt: string): SceneSpec {
  const spec = parsePrompt(prompt);
  if (!spec) throw new Error(`not in the grammar: ${prompt}`);
  return spec;
}

const redLeftOfBlue = {
  ground: GROUND,
  objects: [placed('red', 'circle', { x: 16, y: 30 }), placed('blue', 'square', { x: 46, y: 34 })],
};

test.each(pythonCases().map((item, i) => ({ ...item, name: `${i}: ${item.kind}` })))(
  'judges picture $name as the judge in Python by the rules of the prototype',
  ({ pixels, verdicts }) => {
    for (const { prompt, ...expected } of verdicts) {
      const { strict, objects, contains, recall } = judgeImage(pixels, asked(prompt), { strictness: 'prototype' });
      expect({ strict, objects, contains, recall: Math.round(recall * 1e6) / 1e6 }).toEqual(expected);
    }
  },
);

describe('good drawings, strictly', () => {
  const random = seededRandom(20_001);
  const scenes = describedScenes(120, random);
  const disturbances: readonly (readonly [string, (picture: Picture) => Picture])[] = [
    ['clean', (picture) => picture],
    ['with pixel noise 0.05', (picture) => addNoise(picture, 0.05, random)],
    ['blurred by one pixel', (picture) => blur(picture, 1)],
  ];

  test.each(disturbances)('%s: every true description is accepted, no wrong one', (_, disturb) => {
    for (const { scene, right, wrong } of scenes) {
      const picture = disturb(toPicture(drawScene(scene)));
      expect(judgeImage(picture, right)).toMatchObject({ strict: true, contains: true, recall: 1, reasons: [] });
      expect(judgeImage(picture, wrong).strict).toBe(false);
    }
  });
});

test('a relation is refused where it does not hold, and objects are still found', () => {
  const pixels = drawScene(redLeftOfBlue);
  expect(judgeImage(pixels, asked('a red circle to the left of a blue square')).strict).toBe(true);
  expect(judgeImage(pixels, asked('a blue square to the right of a red circle')).strict).toBe(true);
  for (const words of ['to the right of', 'above', 'below']) {
    const verdict = judgeImage(pixels, asked(`a red circle ${words} a blue square`));
    expect(verdict).toMatchObject({ strict: false, objects: true, contains: false, recall: 1 });
    expect(verdict.reasons).toHaveLength(1);
    expect(verdict.reasons[0]).toContain('relation');
  }
});

test('an object too many refuses, but what was asked is contained', () => {
  const verdict = judgeImage(drawScene(redLeftOfBlue), asked('a red circle'));
  expect(verdict).toMatchObject({ strict: false, objects: false, contains: true, recall: 1 });
  expect(verdict.reasons).toEqual(['not asked for: blue square']);
});

test('recall is the share of the asked objects that are there', () => {
  const verdict = judgeImage(drawScene(redLeftOfBlue), asked('three red circles'));
  expect(verdict.recall).toBeCloseTo(1 / 3, 12);
  expect(verdict.reasons).toEqual(['missing: red circle', 'missing: red circle', 'not asked for: blue square']);
});

test('colour bound to the wrong shape refuses', () => {
  const verdict = judgeImage(drawScene(redLeftOfBlue), asked('a blue circle and a red square'));
  expect(verdict).toMatchObject({ strict: false, recall: 0 });
});

test('a scrap too small for an object refuses strictly alone', () => {
  const scrap = placed('green', 'square', { x: 50, y: 12, radius: 2.2 });
  const pixels = drawScene({ ...redLeftOfBlue, objects: [...redLeftOfBlue.objects, scrap] });
  const spec = asked('a red circle and a blue square');
  expect(judgeImage(pixels, spec, { strictness: 'prototype' }).strict).toBe(true);
  const verdict = judgeImage(pixels, spec);
  expect(verdict.strict).toBe(false);
  expect(verdict.reasons[0]).toMatch(/^scraps: \d+ pixels/);
});

test('an object that the border cuts refuses strictly', () => {
  const object = placed('red', 'circle', { x: 30, y: 4 });
  const { detections, strict } = judgeImage(drawScene({ ground: GROUND, objects: [object] }), asked('a red circle'));
  expect(strict).toBe(false);
  expect(detections[0]!.faults).toContain('border');
});

test('bytes and planes of numbers mean the same; larger pictures are averaged down', () => {
  const bytes = drawScene(redLeftOfBlue);
  const spec = asked('a red circle and a blue square');
  const verdict = judgeImage(bytes, spec);
  expect(judgeImage(toPicture(bytes), spec)).toEqual(verdict);
  const double = new Uint8Array(4 * bytes.length);
  for (let at = 0; at < double.length / 3; at += 1) {
    const [row, column] = [Math.floor(at / (2 * SIZE)) >> 1, (at % (2 * SIZE)) >> 1];
    const from = (row * SIZE + column) * 3;
    double.set(bytes.subarray(from, from + 3), at * 3);
  }
  const { detections } = judgeImage(double, spec);
  detections.forEach(({ x, overlap }, i) => {
    expect(x).toBeCloseTo(verdict.detections[i]!.x, 4);
    expect(overlap).toBeCloseTo(verdict.detections[i]!.overlap, 4);
  });
});

test('a picture of another size or of no numbers is an error that says what was found', () => {
  const spec = asked('a red circle');
  for (const length of [0, 1, 3 * 63 * 63, 4 * 64 * 64, 3 * 64 * 32]) {
    expect(() => judgeImage(new Uint8Array(length), spec)).toThrow(`found ${length} values, expected 3 x side x side`);
  }
  const broken = new Float32Array(3 * 64 * 64);
  broken[77] = NaN;
  expect(() => judgeImage(broken, spec)).toThrow('found NaN near value 77, expected numbers');
});

test('what is no picture of the world gets a verdict, not an exception', () => {
  const random = seededRandom(5);
  const spec = asked('two red circles');
  const noise = Float32Array.from({ length: 3 * 64 * 64 }, () => random.next());
  const flat = new Float32Array(3 * 64 * 64).fill(0.5);
  const infinite = new Float32Array(3 * 64 * 64).fill(Infinity);
  const halves = Float32Array.from({ length: 3 * 64 * 64 }, (_, at) => (at % 64 < 32 ? 0 : 1));
  for (const pixels of [noise, flat, infinite, halves]) {
    for (const strictness of ['strict', 'prototype'] as const) {
      expect(judgeImage(pixels, spec, { strictness }).strict).toBe(false);
    }
  }
});
