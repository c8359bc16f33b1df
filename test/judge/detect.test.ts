import { expect, test } from 'vitest';

import { detect } from '../../judge/detect.ts';
import { toPicture } from '../../judge/picture.ts';
import { drawScene } from '../../judge/render.ts';
import { pythonCases } from './support/python-judge.ts';
import { GROUND, placed } from './support/scenes.ts';

// Python's template areas were summed on a grid: 1e-4 of an overlap. Places differ by its float32 sums.
const OVERLAP_TOLERANCE = 2e-4;
const PLACE_TOLERANCE = 1e-3;

test.each(pythonCases().map((item, i) => ({ ...item, name: `${i}: ${item.kind}` })))(
  'sees in picture $name the objects that the judge in Python sees',
  ({ pixels, detections }) => {
    const { sightings } = detect(toPicture(pixels));
    const seen = sightings.map(({ colour, templates }) => `${colour} ${templates[0]!.shape}`);
    expect(seen).toEqual(detections.map(({ colour, shape }) => `${colour} ${shape}`));
    sightings.forEach(({ x, y, area, templates, colourDistance }, i) => {
      const expected = detections[i]!;
      expect(Math.abs(x - expected.x)).toBeLessThan(PLACE_TOLERANCE);
      expect(Math.abs(y - expected.y)).toBeLessThan(PLACE_TOLERANCE);
      expect(Math.abs(area / expected.area - 1)).toBeLessThan(PLACE_TOLERANCE);
      expect(Math.abs(templates[0]!.overlap - expected.overlap)).toBeLessThan(OVERLAP_TOLERANCE);
      expect(Math.abs(colourDistance - expected.colourDistance)).toBeLessThan(1e-4);
    });
  },
);

test('finds place and area of a circle', () => {
  const circle = placed('blue', 'circle', { x: 30.3, y: 22.7, radius: 10 });
  const [sighting, ...others] = detect(toPicture(drawScene({ ground: GROUND, objects: [circle] }))).sightings;
  expect(others).toEqual([]);
  // The ramp of a pixel is not the exact area of a circle in it.
  expect(Math.hypot(sighting!.x - 30.3, sighting!.y - 22.7)).toBeLessThan(0.02);
  expect(Math.abs(sighting!.area / (Math.PI * 100) - 1)).toBeLessThan(0.01);
});

test('takes touching objects of different colours apart', () => {
  const objects = [
    placed('red', 'square', { x: 20, y: 30, radius: 10 }),
    placed('green', 'square', { x: 37, y: 30, radius: 10 }),
  ];
  const { sightings } = detect(toPicture(drawScene({ ground: GROUND, objects })));
  expect(sightings.map(({ colour, templates }) => `${colour} ${templates[0]!.shape}`)).toEqual([
    'red square',
    'green square',
  ]);
});

test('sees nothing on an empty ground', () => {
  expect(detect(toPicture(drawScene({ ground: GROUND, objects: [] }))).sightings).toEqual([]);
});
