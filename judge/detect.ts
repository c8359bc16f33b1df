/**
 * @file What objects a picture shows, without any network: what differs from the ground falls into connected parts; a
 * vote of its pixels names a part's colour; the template of equal area that overlaps most, over rotations, its shape.
 */
import { connectedParts, dilate, erode, maskOf, open, pixelsOf } from './components.ts';
import { AREAS, DISTANCES, PERIODS, REACHES, coverage } from './geometry.ts';
import { PIXELS, SIZE, colourAt, medianColour, type Picture } from './picture.ts';
import { COLOURS, PALETTE, SHAPES, colourDistance, type Colour, type Rgb, type Shape } from './scene.ts';

/** Of the colour from the ground's: half the distance between the palest ground and yellow. */
const FOREGROUND_DISTANCE = 0.28;
/** Pixels; the smallest object of the shapes world has about 80. */
const SMALLEST_OBJECT = 28;
/** Pixels at the picture's border that are taken for ground. */
const BORDER = 3;
/** Share of a part's inner pixels that must vote for one colour; else it is taken for touching objects. */
const CLEAR_VOTE = 0.72;
const ROTATION_STEP = Math.PI / 24;
/** Templates are compared within this many pixels of the centre. */
const WINDOW = 24;

/** A shape laid over an object, at the object's centre and with its area. */
export interface Template {
  readonly shape: Shape;
  /** Radians. */
  readonly angle: number;
  /** Sum of minima over sum of maxima of the covered shares, 0..1. */
  readonly overlap: number;
}

/** An object as it was found. */
export interface Sighting {
  readonly colour: Colour;
  /** Centre of gravity, pixels. */
  readonly x: number;
  readonly y: number;
  /** Pixels, partly covered ones by their share. */
  readonly area: number;
  /** Its median colour. */
  readonly paint: Rgb;
  /** Of the median colour from the palette's. */
  readonly colourDistance: number;
  /** Share of each pixel that the object covers, [64 * 64]. */
  readonly alpha: Float32Array;
  /** One for each shape, best first. */
  readonly templates: readonly Template[];
}

export interface View {
  /** Colour of the ground. */
  readonly ground: Rgb;
  readonly sightings: readonly Sighting[];
}

export function detect(picture: Picture): View {
  const ground = medianColour(picture, borderPixels());
  const foreground = new Uint8Array(PIXELS);
  for (let at = 0; at < PIXELS; at += 1) {
    if (colourDistance(colourAt(picture, at), ground) > FOREGROUND_DISTANCE) foreground[at] = 1;
  }
  const parts = connectedParts(foreground).filter((part) => part.length >= SMALLEST_OBJECT);
  const objects = parts.flatMap((part) => splitByColour(picture, part));
  return { ground, sightings: objects.map((pixels) => describe(picture, ground, pixels)) };
}

/** The palette's colour that is nearest. */
function nearestColour(colour: Rgb): Colour {
  let best: Colour = 'red';
  for (const name of COLOURS) {
    if (colourDistance(colour, PALETTE[name]) < colourDistance(colour, PALETTE[best])) best = name;
  }
  return best;
}

/** Three rows or columns of each side; the corners count twice. */
function borderPixels(): number[] {
  const pixels: number[] = [];
  for (let i = 0; i < BORDER; i += 1) {
    for (let j = 0; j < SIZE; j += 1) {
      pixels.push(i * SIZE + j, (SIZE - 1 - i) * SIZE + j, j * SIZE + i, j * SIZE + (SIZE - 1 - i));
    }
  }
  return pixels;
}

/** A part of one colour as it is; a part of several, taken apart into its colours' parts where those are large enough. */
function splitByColour(picture: Picture, part: number[]): number[][] {
  const inner = pixelsOf(erode(maskOf(part)));
  const voters = inner.length < 10 ? part : inner;
  const votes = new Map<Colour, number>();
  for (const at of voters) {
    const colour = nearestColour(colourAt(picture, at));
    votes.set(colour, (votes.get(colour) ?? 0) + 1);
  }
  if (Math.max(...votes.values()) >= CLEAR_VOTE * voters.length) return [part];
  const pieces = COLOURS.flatMap((colour) => {
    const own = part.filter((at) => nearestColour(colourAt(picture, at)) === colour);
    return connectedParts(open(maskOf(own))).filter((piece) => piece.length >= SMALLEST_OBJECT);
  });
  return pieces.length > 0 ? pieces : [part];
}

function describe(picture: Picture, ground: Rgb, pixels: number[]): Sighting {
  const mask = maskOf(pixels);
  const inner = pixelsOf(erode(mask));
  const paint = medianColour(picture, inner.length < 6 ? pixels : inner);
  const alpha = coverageOf(picture, { ground, paint }, pixelsOf(dilate(mask)));
  let [area, x, y] = [0, 0, 0];
  for (let at = 0; at < PIXELS; at += 1) {
    area += alpha[at]!;
    x += alpha[at]! * ((at % SIZE) + 0.5);
    y += alpha[at]! * (Math.floor(at / SIZE) + 0.5);
  }
  x /= area;
  y /= area;
  const colour = nearestColour(paint);
  const templates = compareTemplates({ x, y, area, alpha, windowSum: sumInWindow(alpha, x, y) });
  return { colour, colourDistance: colourDistance(paint, PALETTE[colour]), paint, x, y, area, alpha, templates };
}

/** Where each pixel's colour lies between ground and paint, cut to 0..1. */
function coverageOf(picture: Picture, { ground, paint }: { ground: Rgb; paint: Rgb }, pixels: number[]): Float32Array {
  const [red, green, blue] = [paint[0] - ground[0], paint[1] - ground[1], paint[2] - ground[2]];
  const square = red * red + green * green + blue * blue + 1e-6;
  const alpha = new Float32Array(PIXELS);
  for (const at of pixels) {
    const [r, g, b] = colourAt(picture, at);
    const along = (r - ground[0]) * red + (g - ground[1]) * green + (b - ground[2]) * blue;
    alpha[at] = Math.min(1, Math.max(0, along / square));
  }
  return alpha;
}

interface Outline {
  readonly x: number;
  readonly y: number;
  readonly area: number;
  readonly alpha: Float32Array;
  readonly windowSum: number;
}

/** Every shape with the rotation at which its template of the same area and centre overlaps most, best shape first. */
function compareTemplates(outline: Outline): Template[] {
  const best = SHAPES.map((shape) =>
    rotations(shape)
      .map((angle) => ({ shape, angle, overlap: templateOverlap(outline, shape, angle) }))
      .reduce((a, b) => (b.overlap > a.overlap ? b : a)),
  );
  return best.sort((a, b) => b.overlap - a.overlap);
}

/** A period in steps of 7.5 degrees. */
function rotations(shape: Shape): number[] {
  const count = Math.max(1, Math.round(PERIODS[shape] / ROTATION_STEP));
  return Array.from({ length: count }, (_, i) => (i - count / 2) * ROTATION_STEP);
}

function templateOverlap({ x, y, area, alpha, windowSum }: Outline, shape: Shape, angle: number): number {
  const radius = Math.sqrt(area / AREAS[shape]);
  const distance = DISTANCES[shape];
  const reach = Math.min(WINDOW, REACHES[shape] * radius + 1);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [columns, rows] = [span(x, reach), span(y, reach)];
  let [common, template] = [0, 0];
  for (let row = rows.from; row < rows.to; row += 1) {
    const dy = row + 0.5 - y;
    for (let column = columns.from; column < columns.to; column += 1) {
      const dx = column + 0.5 - x;
      const share = coverage(distance(cos * dx + sin * dy, cos * dy - sin * dx, radius));
      template += share;
      common += Math.min(share, alpha[row * SIZE + column]!);
    }
  }
  return common / (windowSum + template - common + 1e-6);
}

/** Sum of the covered shares within the window around the centre. */
function sumInWindow(alpha: Float32Array, x: number, y: number): number {
  const [columns, rows] = [span(Math.floor(x), WINDOW), span(Math.floor(y), WINDOW)];
  let sum = 0;
  for (let row = rows.from; row < rows.to; row += 1) {
    for (let column = columns.from; column < columns.to; column += 1) sum += alpha[row * SIZE + column]!;
  }
  return sum;
}

/** Rows or columns of the picture within `reach` of a place. */
function span(centre: number, reach: number): { from: number; to: number } {
  return { from: Math.max(0, Math.floor(centre - reach)), to: Math.min(SIZE, Math.ceil(centre + reach)) };
}
