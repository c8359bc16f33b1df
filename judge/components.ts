/**
 * @file Sets of pixels of a 64 x 64 picture, as masks of 0 and 1: connected parts, erosion, dilation, opening. Neighbours
 * share an edge; what lies outside the picture belongs to no set.
 */
import { PIXELS, SIZE } from './picture.ts';

/** [64 * 64], 0 or 1. */
export type Mask = Uint8Array;

/** The connected parts of a set, each a list of pixels, in the order of their first pixel. */
export function connectedParts(mask: Mask): number[][] {
  const isSeen = new Uint8Array(PIXELS);
  const parts: number[][] = [];
  for (let start = 0; start < PIXELS; start += 1) {
    if (!mask[start] || isSeen[start]) continue;
    const part = [start];
    isSeen[start] = 1;
    // The list grows while it is walked.
    for (const at of part) {
      forNeighbours(at, (next) => {
        if (!mask[next] || isSeen[next]) return;
        isSeen[next] = 1;
        part.push(next);
      });
    }
    parts.push(part);
  }
  return parts;
}

/** Pixels of the set all of whose neighbours belong to it; the outermost pixels of the picture never do. */
export function erode(mask: Mask): Mask {
  const kept = new Uint8Array(PIXELS);
  for (let at = 0; at < PIXELS; at += 1) {
    if (!mask[at]) continue;
    let inside = 0;
    forNeighbours(at, (next) => (inside += mask[next]!));
    if (inside === 4) kept[at] = 1;
  }
  return kept;
}

/** The set and its neighbours. */
export function dilate(mask: Mask): Mask {
  const grown = mask.slice();
  for (let at = 0; at < PIXELS; at += 1) {
    if (mask[at]) forNeighbours(at, (next) => (grown[next] = 1));
  }
  return grown;
}

/** The set without what is too thin for a plus of five pixels. */
export function open(mask: Mask): Mask {
  return dilate(erode(mask));
}

export function maskOf(pixels: Iterable<number>): Mask {
  const mask = new Uint8Array(PIXELS);
  for (const at of pixels) mask[at] = 1;
  return mask;
}

export function pixelsOf(mask: Mask): number[] {
  const pixels: number[] = [];
  for (let at = 0; at < PIXELS; at += 1) if (mask[at]) pixels.push(at);
  return pixels;
}

function forNeighbours(at: number, visit: (neighbour: number) => void): void {
  const column = at % SIZE;
  if (at >= SIZE) visit(at - SIZE);
  if (at < PIXELS - SIZE) visit(at + SIZE);
  if (column > 0) visit(at - 1);
  if (column < SIZE - 1) visit(at + 1);
}
