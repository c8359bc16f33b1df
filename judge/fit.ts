/**
 * @file Fits a shape to an object: the place, radius, rotation and edge width whose template overlaps most. A search by
 * coordinates with shrinking steps, from the object's centre and area.
 */
import { AREAS, DISTANCES, PERIODS, REACHES } from './geometry.ts';
import type { Sighting, Template } from './detect.ts';
import { SIZE } from './picture.ts';
import type { Shape } from './scene.ts';

/** A shape with a soft edge, and how well it covers the object. */
export interface Fit {
  readonly shape: Shape;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly angle: number;
  /** Pixels over which the edge fades: 1 of a clean drawing, more of a blurred one. */
  readonly edge: number;
  /** Sum of minima over sum of maxima of the covered shares, 0..1. */
  readonly overlap: number;
}

type Parameters = [x: number, y: number, radius: number, angle: number, edge: number];

const ROUNDS = 6;
const SHRINK = 0.55;
const NARROWEST_EDGE = 1;
/** A blur of one pixel's deviation fades an edge over about this much. */
const WIDEST_EDGE = 3;

/** The best fit of a template's shape, from the template's rotation. */
export function fitShape(sighting: Sighting, { shape, angle }: Template): Fit {
  const radius = Math.sqrt(sighting.area / AREAS[shape]);
  const box = coveredBox(sighting);
  let best: Parameters = [sighting.x, sighting.y, radius, angle, 1.5];
  let bestOverlap = overlapOf(box, shape, best);
  let steps: Parameters = [0.8, 0.8, 0.06 * radius, PERIODS[shape] / 24, 0.5];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const i of [0, 1, 2, 3, 4] as const) {
      for (const step of [-steps[i], steps[i]]) {
        const moved: Parameters = [...best];
        moved[i] += step;
        if (step === 0 || moved[4] < NARROWEST_EDGE || moved[4] > WIDEST_EDGE) continue;
        const movedOverlap = overlapOf(box, shape, moved);
        if (movedOverlap <= bestOverlap) continue;
        [best, bestOverlap] = [moved, movedOverlap];
        break;
      }
    }
    steps = [steps[0] * SHRINK, steps[1] * SHRINK, steps[2] * SHRINK, steps[3] * SHRINK, steps[4] * SHRINK];
  }
  return { shape, x: best[0], y: best[1], radius: best[2], angle: best[3], edge: best[4], overlap: bestOverlap };
}

interface Covered {
  readonly alpha: Float32Array;
  readonly sum: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** The covered pixels with the box around them. */
function coveredBox({ alpha, area }: Sighting): Covered {
  const box = { left: SIZE, right: 0, top: SIZE, bottom: 0 };
  alpha.forEach((value, at) => {
    if (value < 0.02) return;
    const [column, row] = [at % SIZE, Math.floor(at / SIZE)];
    box.left = Math.min(box.left, column);
    box.right = Math.max(box.right, column + 1);
    box.top = Math.min(box.top, row);
    box.bottom = Math.max(box.bottom, row + 1);
  });
  return { alpha, sum: area, ...box };
}

function overlapOf({ alpha, sum, ...box }: Covered, shape: Shape, [x, y, radius, angle, edge]: Parameters): number {
  const distance = DISTANCES[shape];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const reach = REACHES[shape] * radius + edge;
  const top = Math.max(0, Math.min(box.top, Math.floor(y - reach)));
  const bottom = Math.min(SIZE, Math.max(box.bottom, Math.ceil(y + reach)));
  const left = Math.max(0, Math.min(box.left, Math.floor(x - reach)));
  const right = Math.min(SIZE, Math.max(box.right, Math.ceil(x + reach)));
  let [common, template] = [0, 0];
  for (let row = top; row < bottom; row += 1) {
    const dy = row + 0.5 - y;
    for (let column = left; column < right; column += 1) {
      const dx = column + 0.5 - x;
      const d = 0.5 - distance(cos * dx + sin * dy, cos * dy - sin * dx, radius) / edge;
      if (d <= 0) continue;
      const share = d < 1 ? d : 1;
      template += share;
      common += Math.min(share, alpha[row * SIZE + column]!);
    }
  }
  return common / (sum + template - common);
}
