/**
 * @file Verdicts on pictures of the shapes world by rules alone: no network, nothing that took part in the search. Does
 * the picture show exactly the asked objects, each well formed, in the asked relation?
 */
import { detect } from './detect.ts';
import { smoothed, toPicture, type Pixels } from './picture.ts';
import {
  askedObjects,
  isRelationHeld,
  isSameKind,
  type Colour,
  type Kind,
  type SceneSpec,
  type Shape,
} from './scene.ts';
import { countLeftovers, inspect, type Fault, type Strictness } from './shape-rules.ts';

export interface JudgeOptions {
  /** Default `strict`; `prototype` repeats the rules that the shapes pack's published numbers were made with. */
  readonly strictness?: Strictness;
}

/** An object that was found in the picture. */
export interface Detection {
  readonly colour: Colour;
  readonly shape: Shape;
  /** Centre of gravity, pixels of a picture of 64. */
  readonly x: number;
  readonly y: number;
  /** Pixels of a picture of 64. */
  readonly area: number;
  /** Overlap with its shape, 0..1. */
  readonly overlap: number;
  /** Of its colour from the palette's, 0..1.7. */
  readonly colourDistance: number;
  /** Empty if it is well formed; only such objects count as present. */
  readonly faults: readonly Fault[];
}

export interface Verdict {
  /** Exactly the asked objects, all well formed, nothing else, and the relation. */
  readonly strict: boolean;
  /** The same without the relation. */
  readonly objects: boolean;
  /** All asked objects and the relation, whatever else there is. */
  readonly contains: boolean;
  /** Share of the asked objects that are there, 0..1. */
  readonly recall: number;
  readonly detections: readonly Detection[];
  /** Why the picture is refused, for people; empty if `strict`. */
  readonly reasons: readonly string[];
}

/** Leftover pixels that are overlooked: less than the smallest scrap. */
const OVERLOOKED_PIXELS = 5;

/**
 * Judges a picture against what was asked.
 *
 * @param pixels Float32Array [3, H, W] in 0..1 or bytes [H, W, 3]; square, the side a multiple of 64 (averaged down to 64)
 * @param spec see `parsePrompt`
 * @throws RefereeError `InvalidInput` for another size, or for values that are no numbers
 */
export function judgeImage(pixels: Pixels, spec: SceneSpec, options: JudgeOptions = {}): Verdict {
  const { detections, leftovers } = lookAt(pixels, options.strictness ?? 'strict');
  const reasons = detections.filter(({ faults }) => faults.length > 0).map(faultText);
  const present = detections.filter(({ faults }) => faults.length === 0);

  const asked = askedObjects(spec);
  const missing = without(asked, present);
  reasons.push(...missing.map((kind) => `missing: ${kind.colour} ${kind.shape}`));
  reasons.push(...without(present, asked).map((kind) => `not asked for: ${kind.colour} ${kind.shape}`));
  if (leftovers > OVERLOOKED_PIXELS) reasons.push(`scraps: ${leftovers} pixels are neither ground nor object`);

  const objects = reasons.length === 0;
  const related = isRelated(present, spec);
  // Of objects that are not there, nothing can be said.
  if (!related && missing.length === 0) reasons.push(`relation: not ${String(spec.relation)}`);
  return {
    strict: objects && related,
    objects,
    contains: missing.length === 0 && related,
    recall: asked.length === 0 ? 1 : 1 - missing.length / asked.length,
    detections,
    reasons,
  };
}

/** What is in a picture, whatever was asked. */
function lookAt(pixels: Pixels, strictness: Strictness): { detections: Detection[]; leftovers: number } {
  const picture = toPicture(pixels);
  const smooth = smoothed(picture);
  const view = detect(picture);
  const inspections = view.sightings.map((sighting) => inspect(smooth, sighting, strictness));
  const fits = inspections.flatMap(({ fit }) => fit ?? []);
  const detections = view.sightings.map(({ colour, colourDistance, x, y, area }, i): Detection => {
    const { shape, overlap, faults } = inspections[i]!;
    return { colour, shape, x, y, area, overlap, colourDistance, faults };
  });
  return { detections, leftovers: strictness === 'strict' ? countLeftovers(smooth, view, fits) : 0 };
}

/** What is left of `kinds` when each of `others` takes away one of its kind. */
function without(kinds: readonly Kind[], others: readonly Kind[]): Kind[] {
  const left = [...others];
  return kinds.filter((kind) => {
    const at = left.findIndex((other) => isSameKind(kind, other));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function isRelated(present: readonly Detection[], { groups, relation }: SceneSpec): boolean {
  if (!relation) return true;
  const [first, second] = groups.map(([, colour, shape]) => present.filter((d) => isSameKind(d, { colour, shape })));
  return first?.some((a) => second?.some((b) => a !== b && isRelationHeld(a, b, relation))) ?? false;
}

function faultText({ colour, shape, x, y, faults }: Detection): string {
  return `malformed: ${colour} ${shape} at (${Math.round(x)}, ${Math.round(y)}): ${faults.join(', ')}`;
}
