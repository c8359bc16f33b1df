import { describe, expect, test } from 'vitest';

import { detect, type Sighting } from '../../judge/detect.ts';
import { blur } from '../../judge/disturb.ts';
import { fitShape } from '../../judge/fit.ts';
import { PERIODS } from '../../judge/geometry.ts';
import { toPicture, type Picture } from '../../judge/picture.ts';
import { seededRandom } from '../../judge/random.ts';
import { drawScene } from '../../judge/render.ts';
import { SHAPES, type Shape } from '../../judge/scene.ts';
import { GROUND, placed } from './support/scenes.ts';

function onlySighting(picture: Picture): Sighting {
  const { sightings } = detect(picture);
  expect(sightings).toHaveLength(1);
  return sightings[0]!;
}

function fitOf(sighting: Sighting, shape: Shape): ReturnType<typeof fitShape> {
  return fitShape(
    sighting,
    sighting.templates.find((template) => template.shape === shape)!,
  );
}

describe.each(SHAPES)('a drawn %s', (shape) => {
  test('is found where it was put', () => {
    const random = seededRandom(17);
    for (let i = 0; i < 20; i += 1) {
      const truth = placed('purple', shape, {
        x: random.uniform(20, 44),
        y: random.uniform(20, 44),
        radius: random.uniform(6.5, 15),
        angle: random.uniform(-0.2, 0.2),
      });
      const fit = fitOf(onlySighting(toPicture(drawScene({ ground: GROUND, objects: [truth] }))), shape);
      expect(fit.overlap).toBeGreaterThan(0.98);
      expect(Math.hypot(fit.x - truth.x, fit.y - truth.y)).toBeLessThan(0.15);
      expect(Math.abs(fit.radius - truth.radius)).toBeLessThan(0.15);
      if (shape === 'circle') continue;
      const turn = (fit.angle - truth.angle) / PERIODS[shape];
      expect(Math.abs(turn - Math.round(turn)) * PERIODS[shape] * truth.radius).toBeLessThan(0.4);
    }
  });

  test('keeps its place when it is blurred, and gets a wider edge', () => {
    const truth = placed('purple', shape, { x: 31.2, y: 33.6, radius: 10 });
    const picture = toPicture(drawScene({ ground: GROUND, objects: [truth] }));
    const [sharp, soft] = [fitOf(onlySighting(picture), shape), fitOf(onlySighting(blur(picture, 1)), shape)];
    expect(Math.hypot(soft.x - truth.x, soft.y - truth.y)).toBeLessThan(0.2);
    expect(soft.edge).toBeGreaterThan(sharp.edge + 0.5);
  });
});
