/**
 * @file The vocabulary of the shapes world, and what a prompt asks for as data: groups of equal objects, and at most one
 * relation between two single objects. Everything else of this room speaks in these words.
 */

/** Red, green, blue; 0..1. */
export type Rgb = readonly [number, number, number];

export const COLOURS = ['red', 'green', 'blue', 'yellow', 'purple', 'orange'] as const;
export type Colour = (typeof COLOURS)[number];

export const SHAPES = ['circle', 'square', 'triangle', 'cross'] as const;
export type Shape = (typeof SHAPES)[number];

/** Where the first object of a prompt lies, seen from the second. */
export const RELATIONS = ['left', 'right', 'above', 'below'] as const;
export type Relation = (typeof RELATIONS)[number];

/** The paint of each colour. */
export const PALETTE: Readonly<Record<Colour, Rgb>> = {
  red: fromBytes(210, 35, 40),
  green: fromBytes(40, 150, 60),
  blue: fromBytes(40, 70, 205),
  yellow: fromBytes(235, 205, 40),
  purple: fromBytes(130, 45, 150),
  orange: fromBytes(240, 130, 30),
};

/** Pale grounds, none of them near a paint. */
export const BACKGROUNDS: readonly Rgb[] = [
  fromBytes(226, 226, 226),
  fromBytes(214, 218, 222),
  fromBytes(232, 226, 216),
  fromBytes(216, 228, 218),
  fromBytes(232, 218, 222),
];

/** What an object is, wherever it lies. */
export interface Kind {
  readonly colour: Colour;
  readonly shape: Shape;
}

/** `[2, 'red', 'circle']`: two red circles. */
export type SceneGroup = readonly [count: number, colour: Colour, shape: Shape];

/** What a prompt of the shapes world asks for. A relation joins exactly two groups of one object each. */
export interface SceneSpec {
  readonly groups: readonly SceneGroup[];
  readonly relation: Relation | null;
}

/** The asked objects one by one, groups in order. */
export function askedObjects(spec: SceneSpec): Kind[] {
  return spec.groups.flatMap(([count, colour, shape]) => Array.from({ length: count }, () => ({ colour, shape })));
}

export function isSameKind(a: Kind, b: Kind): boolean {
  return a.colour === b.colour && a.shape === b.shape;
}

/** Euclidean distance of two colours. */
export function colourDistance(a: Rgb, b: Rgb): number {
  // Not Math.hypot: this is the judge's innermost step, and that is ten times slower.
  return Math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2);
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** `along`: how far `a` lies in the relation's direction, seen from `b`; `across`: how far beside it. Pixels, y downwards. */
function offset(a: Point, b: Point, relation: Relation): { along: number; across: number } {
  const [dx, dy] = [a.x - b.x, a.y - b.y];
  switch (relation) {
    case 'left':
      return { along: -dx, across: dy };
    case 'right':
      return { along: dx, across: dy };
    case 'above':
      return { along: -dy, across: dx };
    case 'below':
      return { along: dy, across: dx };
  }
}

/**
 * Whether `a` lies on that side of `b`, for a picture of 64 pixels: at least 5 pixels that way, and not much further
 * sideways. Between this and {@link isRelationWrong} lies a band where people would disagree.
 */
export function isRelationHeld(a: Point, b: Point, relation: Relation): boolean {
  const { along, across } = offset(a, b, relation);
  return along >= 5 && along >= 0.8 * Math.abs(across);
}

/** Whether nobody would say that `a` lies on that side of `b`: the bounds that wrong captions are drawn with. */
export function isRelationWrong(a: Point, b: Point, relation: Relation): boolean {
  const { along, across } = offset(a, b, relation);
  return along <= -6 || (along < 7 && Math.abs(across) > 2 * Math.abs(along));
}

/** Whether everybody would say so: the bounds that true captions are drawn with. */
export function isRelationClear(a: Point, b: Point, relation: Relation): boolean {
  const { along, across } = offset(a, b, relation);
  return along >= 10 && along >= 1.25 * Math.abs(across);
}

function fromBytes(red: number, green: number, blue: number): Rgb {
  return [red / 255, green / 255, blue / 255];
}
