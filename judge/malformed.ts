/**
 * @file Draws scenes in which one object is malformed, in the ways that searched pictures go wrong. No description is
 * true of such a picture, so a judge should refuse all of them.
 */
import { coverage, distanceFrom, type PlacedShape } from './geometry.ts';
import { SIZE } from './picture.ts';
import type { Random } from './random.ts';
import { drawLayers, objectLayer, type Layer, type PlacedObject, type Scene } from './render.ts';
import { COLOURS, PALETTE, SHAPES, type Rgb } from './scene.ts';

/**
 * - `cut`: about half of it is missing, along a straight line
 * - `two-colours`: one side is of another colour
 * - `merged`: another shape of the same colour grows out of it
 * - `blob`: a wavy outline instead of the shape's
 * - `ghost`: transparent
 * - `fragment`: a scrap of some colour elsewhere in the picture
 * - `mixture`: an outline between two shapes'
 */
export const MALFORMATIONS = ['cut', 'two-colours', 'merged', 'blob', 'ghost', 'fragment', 'mixture'] as const;
export type Malformation = (typeof MALFORMATIONS)[number];

type Outline = (x: number, y: number) => number;

/** Bytes [64, 64, 3] of the scene with one object, chosen at random, malformed. */
export function drawMalformed({ ground, objects }: Scene, malformation: Malformation, random: Random): Uint8Array {
  const bad = random.below(objects.length);
  const layers = objects.map((object, i) =>
    i === bad && malformation !== 'fragment' ? malformedLayer(object, malformation, random) : objectLayer(object),
  );
  if (malformation === 'fragment') layers.push(fragmentLayer(objects, random));
  return drawLayers(ground, layers);
}

function malformedLayer(object: PlacedObject, malformation: Exclude<Malformation, 'fragment'>, random: Random): Layer {
  const outline = distanceFrom(object);
  const { paint, radius } = object;
  switch (malformation) {
    case 'cut': {
      const side = randomSide(object, random, isCutSeen);
      const kept = random.uniform(-0.15, 0.2) * radius;
      return filled(paint, (x, y) => Math.max(outline(x, y), side(x, y) - kept));
    }
    case 'two-colours': {
      const side = randomSide(object, random);
      const border = random.uniform(-0.3, 0.3) * radius;
      const other = PALETTE[random.pick(COLOURS.filter((colour) => colour !== object.colour))];
      return (x, y) => ({ paint: side(x, y) > border ? other : paint, opacity: coverage(outline(x, y)) });
    }
    case 'merged': {
      const grown = distanceFrom(neighbourOf(object, random));
      return filled(paint, (x, y) => Math.min(outline(x, y), grown(x, y)));
    }
    case 'blob':
      return filled(paint, blob(object, radius, random));
    case 'ghost': {
      const opacity = random.uniform(0.2, 0.45);
      return (x, y) => ({ paint, opacity: opacity * coverage(outline(x, y)) });
    }
    case 'mixture': {
      const other = distanceFrom({ ...object, shape: otherShape(object, random), angle: 0 });
      const core = blob(object, 0.75 * radius, random);
      return filled(paint, (x, y) => Math.min((outline(x, y) + other(x, y)) / 2, core(x, y)));
    }
  }
}

function filled(paint: Rgb, outline: Outline): Layer {
  return (x, y) => ({ paint, opacity: coverage(outline(x, y)) });
}

/** Distance beyond a line through the centre, in a direction of which `isGood`. */
function randomSide(
  object: PlacedShape,
  random: Random,
  isGood: (object: PlacedShape, angle: number) => boolean = () => true,
): Outline {
  while (true) {
    const angle = random.uniform(0, 2 * Math.PI);
    if (!isGood(object, angle)) continue;
    return (x, y) => Math.cos(angle) * (x - object.x) + Math.sin(angle) * (y - object.y);
  }
}

/** A triangle that loses a strip along one of its sides is a triangle again, and well formed. */
function isCutSeen({ shape, angle: own }: PlacedShape, angle: number): boolean {
  if (shape !== 'triangle') return true;
  const period = (2 * Math.PI) / 3;
  const fromSide = (((angle - own - Math.PI / 2) % period) + period) % period;
  return Math.min(fromSide, period - fromSide) > Math.PI / 9;
}

function neighbourOf(object: PlacedShape, random: Random): PlacedShape {
  const angle = random.uniform(0, 2 * Math.PI);
  const away = random.uniform(0.7, 1.2) * object.radius;
  return {
    shape: otherShape(object, random),
    x: object.x + Math.cos(angle) * away,
    y: object.y + Math.sin(angle) * away,
    radius: object.radius * random.uniform(0.7, 1),
    angle: 0,
  };
}

function otherShape(object: PlacedShape, random: Random): PlacedShape['shape'] {
  return random.pick(SHAPES.filter((shape) => shape !== object.shape));
}

/** A circle whose radius swings by 10 to 28 % in each of four waves. */
function blob({ x, y }: PlacedShape, radius: number, random: Random): Outline {
  const waves = [1, 2, 3, 5].map((count) => ({
    count,
    height: random.uniform(0.1, 0.28),
    phase: random.uniform(0, 2 * Math.PI),
  }));
  return (px, py) => {
    const angle = Math.atan2(py - y, px - x);
    const swing = waves.reduce((sum, { count, height, phase }) => sum + height * Math.sin(count * angle + phase), 1);
    return Math.hypot(px - x, py - y) - radius * Math.min(1.6, Math.max(0.35, swing));
  };
}

/** A scrap of 15 to 60 pixels, clear of the objects. */
function fragmentLayer(objects: readonly PlacedObject[], random: Random): Layer {
  const shape = random.pick(SHAPES);
  const radius = random.uniform(2.8, 4.5);
  while (true) {
    const [x, y] = [random.uniform(6, SIZE - 6), random.uniform(6, SIZE - 6)];
    const isClear = objects.every((object) => Math.hypot(object.x - x, object.y - y) > 1.25 * object.radius + 6);
    if (isClear) return filled(PALETTE[random.pick(COLOURS)], distanceFrom({ shape, x, y, radius, angle: 0 }));
  }
}
