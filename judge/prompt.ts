/**
 * @file Between prompts of the shapes world and what they ask for. The grammar, after an optional opening as "a photo of":
 *
 *     list     = group { ("," | "and" | ", and") group }
 *     placed   = single relation single
 *     group    = ("a" | "an" | "one" | "the") colour shape | ("two" | "three" | "four") colour shapes
 *     relation = "above" | "below" | ["to the" | "on the"] ("left" | "right") "of"
 *
 * Whatever is not of this grammar has no meaning here, and so no verdict.
 */
import {
  COLOURS,
  SHAPES,
  isSameKind,
  type Colour,
  type Relation,
  type SceneGroup,
  type SceneSpec,
  type Shape,
} from './scene.ts';

const OPENING = /^(?:an? )?(?:photo|picture|image|drawing) (?:of|exactly contains|contains|with) /u;
const COUNTS: Readonly<Record<string, number>> = { a: 1, an: 1, one: 1, the: 1, two: 2, three: 3, four: 4 };
const COUNT_WORDS = ['', '', 'two', 'three', 'four'];
const PLURALS: Readonly<Record<Shape, string>> = {
  circle: 'circles',
  square: 'squares',
  triangle: 'triangles',
  cross: 'crosses',
};
const RELATION_TEXTS: Readonly<Record<Relation, string>> = {
  left: 'to the left of',
  right: 'to the right of',
  above: 'above',
  below: 'below',
};

/** What a prompt asks for; undefined where it is not in the grammar. Case, spaces and a final full stop do not matter. */
export function parsePrompt(prompt: string): SceneSpec | undefined {
  const text = prompt
    .toLowerCase()
    .replaceAll(',', ' , ')
    .replace(/\.\s*$/u, '')
    .split(/\s+/u)
    .filter(Boolean)
    .join(' ');
  const words = text.replace(OPENING, '').split(' ');
  return parsePlaced(words) ?? parseList(words);
}

function parsePlaced(words: readonly string[]): SceneSpec | undefined {
  const first = parseGroup(words.slice(0, 3));
  const second = parseGroup(words.slice(-3));
  const relation = parseRelation(words.slice(3, -3).join(' '));
  if (!first || !second || !relation || first[0] !== 1 || second[0] !== 1) return undefined;
  return { groups: [first, second], relation };
}

function parseRelation(text: string): Relation | undefined {
  if (text === 'above' || text === 'below') return text;
  const [, side] = /^(?:(?:to|on) the )?(left|right) of$/u.exec(text) ?? [];
  return side === 'left' || side === 'right' ? side : undefined;
}

function parseList(words: readonly string[]): SceneSpec | undefined {
  const groups: SceneGroup[] = [];
  let at = 0;
  while (true) {
    const group = parseGroup(words.slice(at, at + 3));
    if (!group) return undefined;
    // "a red circle and a red circle" may mean one or two.
    if (groups.some(([, colour, shape]) => isSameKind({ colour, shape }, { colour: group[1], shape: group[2] }))) {
      return undefined;
    }
    groups.push(group);
    at += 3;
    if (at === words.length) return { groups, relation: null };
    const isSeparated = words[at] === ',' || words[at] === 'and';
    if (!isSeparated) return undefined;
    at += words[at] === ',' && words[at + 1] === 'and' ? 2 : 1;
  }
}

function parseGroup(words: readonly string[]): SceneGroup | undefined {
  const [countWord = '', colourWord, shapeWord] = words;
  const count = Object.hasOwn(COUNTS, countWord) ? COUNTS[countWord] : undefined;
  const colour = COLOURS.find((name) => name === colourWord);
  const shape = SHAPES.find((name) => shapeWord === (count === 1 ? name : PLURALS[name]));
  return count && colour && shape ? [count, colour, shape] : undefined;
}

/** The prompt that asks for it, in the words that the shapes pack was trained with. Counts are 1 to 4. */
export function promptText({ groups, relation }: SceneSpec): string {
  const texts = groups.map(([count, colour, shape]) => groupText(count, colour, shape));
  if (relation) return texts.join(` ${RELATION_TEXTS[relation]} `);
  const last = texts.at(-1) ?? '';
  return texts.length < 2 ? last : `${texts.slice(0, -1).join(' , ')} and ${last}`;
}

function groupText(count: number, colour: Colour, shape: Shape): string {
  if (count === 1) return `${colour === 'orange' ? 'an' : 'a'} ${colour} ${shape}`;
  return `${COUNT_WORDS[count] ?? count} ${colour} ${PLURALS[shape]}`;
}
