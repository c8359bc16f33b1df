import { expect, test } from 'vitest';

import { MALFORMATIONS, drawMalformed } from '../../judge/malformed.ts';
import { SIZE } from '../../judge/picture.ts';
import { isSpecWrong, sceneFor } from '../../judge/placement.ts';
import { parsePrompt, promptText } from '../../judge/prompt.ts';
import { seededRandom } from '../../judge/random.ts';
import { drawScene } from '../../judge/render.ts';
import { describedScenes } from './support/scenes.ts';

const scenes = describedScenes(300, seededRandom(3));

test('objects lie inside the picture and apart from each other', () => {
  for (const { scene } of scenes) {
    scene.objects.forEach((a, i) => {
      expect(Math.min(a.x, a.y, SIZE - a.x, SIZE - a.y)).toBeGreaterThan(1.24 * a.radius);
      for (const b of scene.objects.slice(0, i)) {
        expect(Math.hypot(a.x - b.x, a.y - b.y)).toBeGreaterThan(a.radius + b.radius + 2.5);
      }
    });
  }
});

test('true descriptions are not wrong, wrong ones are; both are prompts of the grammar', () => {
  for (const { scene, right, wrong } of scenes) {
    expect(isSpecWrong(right, scene)).toBe(false);
    expect(isSpecWrong(wrong, scene)).toBe(true);
    expect(parsePrompt(promptText(right))).toEqual(right);
    expect(parsePrompt(promptText(wrong))).toEqual(wrong);
  }
});

test('wrong descriptions err in every respect, relations included', () => {
  const related = scenes.filter(({ right, wrong }) => right.relation && wrong.relation);
  const onlyRelation = related.filter(({ right, wrong }) => {
    const kinds = ({ groups }: typeof right): string => groups.map(String).sort().join();
    return kinds(right) === kinds(wrong);
  });
  expect(onlyRelation.length).toBeGreaterThan(10);
  expect(scenes.filter(({ right, wrong }) => wrong.groups.length < right.groups.length).length).toBeGreaterThan(5);
});

test('a scene for a description shows it', () => {
  const random = seededRandom(9);
  for (const { right } of scenes.slice(0, 100)) expect(isSpecWrong(right, sceneFor(right, random))).toBe(false);
});

test('the same seed gives the same scenes and pictures', () => {
  const draw = (): Uint8Array[] => {
    const random = seededRandom(4);
    return describedScenes(3, random).map(({ scene }) => drawMalformed(scene, 'blob', random));
  };
  expect(draw()).toEqual(draw());
});

test.each(MALFORMATIONS)('a drawing with a %s differs from the good one in at least 12 pixels', (malformation) => {
  const random = seededRandom(11);
  for (const { scene } of scenes.slice(0, 60)) {
    const [good, bad] = [drawScene(scene), drawMalformed(scene, malformation, random)];
    const changed = good.filter((value, at) => Math.abs(value - bad[at]!) > 25).length;
    expect(changed).toBeGreaterThan(12);
  }
});
