/**
 * @file What a well-formed object is. The prototype's rule compares an object with a template of the same centre and
 * area, at which a blob passes for a square. The strict rules fit two shapes to it and ask for six things, each of which
 * some malformed drawing breaks. Bounds were chosen on drawings and decoded drawings of one set of seeds, between what
 * good ones reach and what malformed ones do, and are reported on another (`bench/judge-errors.ts`).
 */
import type { Sighting, View } from './detect.ts';
import { fitShape, type Fit } from './fit.ts';
import { REACHES, distanceFrom } from './geometry.ts';
import { PIXELS, SIZE, colourAt, type Picture } from './picture.ts';
import { colourDistance, type Shape } from './scene.ts';

/** `prototype`: one template, as the pack's published numbers were made. `strict`: refuses malformed shapes. */
export type Strictness = 'prototype' | 'strict';

/** What is wrong with an object. */
export type Fault =
  /** It covers too little of the best shape, or too much beside it. */
  | 'overlap'
  /** Another shape fits nearly as well. */
  | 'ambiguous'
  /** Its outline leaves the shape's in some places by more than a pixel. */
  | 'outline'
  /** Its inside is not of one colour. */
  | 'uneven'
  /** Its colour is none of the palette's. */
  | 'colour'
  /** The picture's border cuts it. */
  | 'border';

export interface Inspection {
  readonly shape: Shape;
  readonly overlap: number;
  readonly faults: readonly Fault[];
  /** Of the strict rules alone. */
  readonly fit?: Fit;
}

const PROTOTYPE_OVERLAP = 0.72;
const PROTOTYPE_COLOUR_DISTANCE = 0.3;

/** Least overlap after fitting. Decoded drawings with noise reach .954, .932, .908, .887 at worst; blobs .79. */
const LEAST_OVERLAP: Readonly<Record<Shape, number>> = { circle: 0.9, square: 0.88, triangle: 0.86, cross: 0.84 };
/** Least lead over the second shape. Good drawings .10, .095, .19, .049 at worst; half of the mixtures lie below .02. */
const LEAST_LEAD: Readonly<Record<Shape, number>> = { circle: 0.05, square: 0.05, triangle: 0.08, cross: 0.04 };
/** Misplaced pixels count by how far beyond this they lie from the outline; pixels. */
const OUTLINE_TOLERANCE = 0.5;
/** Greatest sum of these distances, per pixel of radius. Good drawings .04 at worst, blobs .6 at best. */
const OUTLINE_EXCESS = 0.25;
/** Colour is looked at this deep inside, beyond the fade of a blurred edge; pixels. */
const INSIDE = 2;
/** Greatest distance of a smoothed inner colour from the object's own. Blurred drawings .12, two colours mostly .5. */
const UNEVENNESS = 0.25;
/** Greatest distance of an object's colour from the palette. Good drawings .135 at worst, when blurred. */
const COLOUR_DISTANCE = 0.2;
/** Least share of a shape that lies in the picture. */
const LEAST_VISIBLE = 0.92;
/** What lies this far from all objects must be ground; pixels. */
const OUTSIDE = 2.5;
/** Of the smoothed colour from the ground's. */
const LEFTOVER_DISTANCE = 0.2;

/** Judges one object by itself. `smooth`: the picture after `smoothed`. */
export function inspect(smooth: Picture, sighting: Sighting, strictness: Strictness): Inspection {
  return strictness === 'strict' ? inspectStrictly(smooth, sighting) : inspectAsPrototype(sighting);
}

function inspectAsPrototype({ templates, colourDistance: distance }: Sighting): Inspection {
  const { shape, overlap } = templates[0]!;
  const faults: Fault[] = [];
  if (overlap < PROTOTYPE_OVERLAP) faults.push('overlap');
  if (distance >= PROTOTYPE_COLOUR_DISTANCE) faults.push('colour');
  return { shape, overlap, faults };
}

function inspectStrictly(smooth: Picture, sighting: Sighting): Inspection {
  // Fitting changes the order of the first two at most.
  const [fit, second] = sighting.templates
    .slice(0, 2)
    .map((template) => fitShape(sighting, template))
    .sort((a, b) => b.overlap - a.overlap) as [Fit, Fit];
  const { shape, overlap } = fit;
  const faults: Fault[] = [];
  if (overlap < LEAST_OVERLAP[shape]) faults.push('overlap');
  if (overlap - second.overlap < LEAST_LEAD[shape]) faults.push('ambiguous');
  const { excess, unevenness } = compareWithFit(smooth, sighting, fit);
  if (excess > OUTLINE_EXCESS * fit.radius) faults.push('outline');
  if (unevenness > UNEVENNESS) faults.push('uneven');
  if (sighting.colourDistance > COLOUR_DISTANCE) faults.push('colour');
  if (visibleShare(fit) < LEAST_VISIBLE) faults.push('border');
  return { shape, overlap, faults, fit };
}

interface Comparison {
  /** Sum over misplaced pixels of their distance from the outline beyond the tolerance; pixels. */
  readonly excess: number;
  /** Greatest distance of an inner colour from the object's. */
  readonly unevenness: number;
}

function compareWithFit(smooth: Picture, { alpha, paint }: Sighting, fit: Fit): Comparison {
  const distance = distanceFrom(fit);
  let [excess, unevenness] = [0, 0];
  for (let at = 0; at < PIXELS; at += 1) {
    const d = distance((at % SIZE) + 0.5, Math.floor(at / SIZE) + 0.5);
    if (d < 0 !== alpha[at]! > 0.5) excess += Math.max(0, Math.abs(d) - OUTLINE_TOLERANCE);
    if (d < -INSIDE) unevenness = Math.max(unevenness, colourDistance(colourAt(smooth, at), paint));
  }
  return { excess, unevenness };
}

/** Share of a fitted shape's pixels that lie in the picture. */
function visibleShare(fit: Fit): number {
  const distance = distanceFrom(fit);
  const reach = Math.ceil(REACHES[fit.shape] * fit.radius) + 1;
  const [left, top] = [Math.floor(fit.x) - reach, Math.floor(fit.y) - reach];
  let [all, visible] = [0, 0];
  for (let row = top; row <= top + 2 * reach; row += 1) {
    for (let column = left; column <= left + 2 * reach; column += 1) {
      if (distance(column + 0.5, row + 0.5) >= 0) continue;
      all += 1;
      if (row >= 0 && row < SIZE && column >= 0 && column < SIZE) visible += 1;
    }
  }
  return visible / all;
}

/** Number of pixels away from all fitted objects that are not ground: scraps, ghosts, trails. */
export function countLeftovers(smooth: Picture, { ground }: View, fits: readonly Fit[]): number {
  const distances = fits.map(distanceFrom);
  let count = 0;
  for (let at = 0; at < PIXELS; at += 1) {
    if (colourDistance(colourAt(smooth, at), ground) <= LEFTOVER_DISTANCE) continue;
    const [x, y] = [(at % SIZE) + 0.5, Math.floor(at / SIZE) + 0.5];
    if (distances.every((distance) => distance(x, y) > OUTSIDE)) count += 1;
  }
  return count;
}
