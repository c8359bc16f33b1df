/**
 * @file Random scenes of the shapes world with descriptions that are true of them, and with descriptions that are not:
 * one word of a true one changed (relation, binding of colour and shape, count, colour, shape).
 */
import type { Random } from './random.ts';
import type { PlacedObject, Scene } from './render.ts';
import {
  BACKGROUNDS,
  COLOURS,
  PALETTE,
  RELATIONS,
  SHAPES,
  askedObjects,
  isRelationClear,
  isRelationWrong,
  isSameKind,
  type Kind,
  type Relation,
  type Rgb,
  type SceneGroup,
  type SceneSpec,
} from './scene.ts';
import { SIZE } from './picture.ts';

/** Nominal radii of one, two, three objects; pixels. */
const RADII: readonly (readonly [number, number])[] = [
  [9, 15],
  [7.5, 11.5],
  [6.5, 9],
];
const OPPOSITES: Readonly<Record<Relation, Relation>> = {
  left: 'right',
  right: 'left',
  above: 'below',
  below: 'above',
};

/** One to three objects of any kinds; two of them mostly side by side or one above the other. */
export function randomScene(random: Random): Scene {
  const kinds = randomKinds(random);
  const relation = kinds.length === 2 && random.next() < 0.7 ? random.pick(RELATIONS) : null;
  return placeObjects(kinds, relation, random);
}

/** A scene that shows what is asked. At most three objects. */
export function sceneFor(spec: SceneSpec, random: Random): Scene {
  return placeObjects(askedObjects(spec), spec.relation, random);
}

function randomKinds(random: Random): Kind[] {
  const first = randomKind(random);
  const branch = random.next();
  if (branch < 0.15) return [first];
  if (branch < 0.7) {
    if (random.next() < 0.17) return [first, first];
    const second = randomKind(random);
    return [first, random.next() < 0.15 ? { ...second, colour: first.colour } : second];
  }
  const repeat = random.next();
  if (repeat < 0.35) return [first, first, first];
  return [first, repeat < 0.6 ? first : randomKind(random), randomKind(random)];
}

function randomKind(random: Random): Kind {
  return { colour: random.pick(COLOURS), shape: random.pick(SHAPES) };
}

function placeObjects(kinds: readonly Kind[], relation: Relation | null, random: Random): Scene {
  const shift = random.uniform(-0.03, 0.03);
  const ground = shifted(random.pick(BACKGROUNDS), () => shift + random.uniform(-0.01, 0.01));
  while (true) {
    const objects = kinds.map((kind) => randomObject(kind, kinds.length, random));
    if (areApart(objects) && (!relation || areRelated(objects, relation))) return { ground, objects };
  }
}

function randomObject(kind: Kind, count: number, random: Random): PlacedObject {
  const radius = random.uniform(...RADII[count - 1]!);
  const margin = 1.25 * radius + 1;
  return {
    ...kind,
    paint: shifted(PALETTE[kind.colour], () => random.uniform(-0.03, 0.03)),
    x: random.uniform(margin, SIZE - margin),
    y: random.uniform(margin, SIZE - margin),
    radius,
    angle: random.uniform(-0.2, 0.2),
  };
}

function areApart(objects: readonly PlacedObject[]): boolean {
  return objects.every((a, i) =>
    objects.slice(0, i).every((b) => Math.hypot(a.x - b.x, a.y - b.y) >= 1.22 * (a.radius + b.radius) + 2.5),
  );
}

function areRelated([a, b]: readonly PlacedObject[], relation: Relation): boolean {
  return a !== undefined && b !== undefined && isRelationClear(a, b, relation);
}

function shifted(colour: Rgb, by: () => number): Rgb {
  const shift = (value: number): number => Math.min(1, Math.max(0, value + by()));
  return [shift(colour[0]), shift(colour[1]), shift(colour[2])];
}

/** A description that is true of the scene; of two different objects often with their relation. */
export function trueSpec({ objects }: Scene, random: Random): SceneSpec {
  const kinds = objects.filter((object, i) => objects.findIndex((other) => isSameKind(object, other)) === i);
  if (random.next() < 0.5) kinds.reverse();
  const groups = kinds.map((kind): SceneGroup => [
    objects.filter((object) => isSameKind(object, kind)).length,
    kind.colour,
    kind.shape,
  ]);
  const [a, b] = kinds;
  if (!a || !b || objects.length !== 2 || random.next() > 0.55) return { groups, relation: null };
  return { groups, relation: RELATIONS.find((relation) => isRelationClear(a, b, relation)) ?? null };
}

/** Whether nobody would call the description true of the scene. */
export function isSpecWrong(spec: SceneSpec, { objects }: Scene): boolean {
  const asked = askedObjects(spec);
  const isSame =
    asked.length === objects.length && asked.every((kind) => countOf(asked, kind) === countOf(objects, kind));
  if (!isSame) return true;
  if (!spec.relation) return false;
  const { relation } = spec;
  const [a, b] = asked.map((kind) => objects.find((object) => isSameKind(object, kind)));
  return a !== undefined && b !== undefined && isRelationWrong(a, b, relation);
}

function countOf(kinds: readonly Kind[], kind: Kind): number {
  return kinds.filter((other) => isSameKind(other, kind)).length;
}

/** A description that differs from a true one in one respect and is wrong. */
export function wrongSpec(spec: SceneSpec, scene: Scene, random: Random): SceneSpec {
  while (true) {
    const changed = changeSpec(spec, random);
    const kinds = changed.groups.map(([, colour, shape]) => `${colour} ${shape}`);
    if (new Set(kinds).size === kinds.length && isSpecWrong(changed, scene)) return changed;
  }
}

function changeSpec({ groups, relation }: SceneSpec, random: Random): SceneSpec {
  const at = random.below(groups.length);
  const [count, colour, shape] = groups[at]!;
  const withGroup = (group: SceneGroup): SceneSpec => ({ groups: groups.with(at, group), relation });
  if (relation && random.next() < 0.5) {
    if (random.next() < 0.3) return { groups: groups.toReversed(), relation };
    return { groups, relation: random.next() < 0.75 ? OPPOSITES[relation] : random.pick(RELATIONS) };
  }
  switch (random.below(4)) {
    case 0: {
      const other = (at + 1) % groups.length;
      const [otherCount, otherColour, otherShape] = groups[other]!;
      const swapped = withGroup([count, otherColour, shape]).groups;
      return {
        groups: swapped.with(other, [otherCount, groups.length > 1 ? colour : otherColour, otherShape]),
        relation,
      };
    }
    case 1:
      if (groups.length > 1 && random.next() < 0.4) return { groups: groups.toSpliced(at, 1), relation: null };
      return { groups: withGroup([1 + random.below(3), colour, shape]).groups, relation: null };
    case 2:
      return withGroup([count, random.pick(COLOURS), shape]);
    default:
      return withGroup([count, colour, random.pick(SHAPES)]);
  }
}
