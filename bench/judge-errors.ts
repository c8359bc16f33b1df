/**
 * @file How often the judge errs: what share of good drawings with true and with wrong descriptions it accepts, and of
 * malformed ones, by the prototype's rules and by the strict ones; drawn, disturbed, and decoded by the shapes pack.
 *
 * Usage: tsx bench/judge-errors.ts [scenes, 300] [seed, 1] [--drawn]     --drawn leaves the decoder out
 */
import { addNoise, blur } from '../judge/disturb.ts';
import { MALFORMATIONS, drawMalformed } from '../judge/malformed.ts';
import { toPicture, type Picture } from '../judge/picture.ts';
import { randomScene, trueSpec, wrongSpec } from '../judge/placement.ts';
import { seededRandom, type Random } from '../judge/random.ts';
import { drawScene } from '../judge/render.ts';
import type { SceneSpec } from '../judge/scene.ts';
import { shareOf, type Share } from '../judge/score.ts';
import { judgeImage } from '../judge/verdict.ts';
import { openReconstruction, type Reconstruct } from './judge-reconstruction.ts';

/** A picture with a description that would be true if it were well formed, and one that would not. */
interface Case {
  readonly picture: Picture;
  readonly right: SceneSpec;
  readonly wrong: SceneSpec;
}

interface CaseSet {
  readonly name: string;
  readonly cases: readonly Case[];
}

/** Shares accepted by `strict` of a verdict. */
interface ErrorRow {
  readonly name: string;
  readonly prototype: { readonly right: Share; readonly wrong: Share };
  readonly strict: { readonly right: Share; readonly wrong: Share };
}

interface ErrorOptions {
  readonly scenes: number;
  readonly seed: number;
  /** Without it, decoded pictures are left out. */
  readonly reconstruct?: Reconstruct | undefined;
}

/** Good sets come first; every acceptance of a row after "malformed" is an error. */
async function measureErrors({ scenes, seed, reconstruct }: ErrorOptions): Promise<ErrorRow[]> {
  const random = seededRandom(seed);
  const drawn = drawSets(scenes, random);
  const decoded = reconstruct ? await decodeSets(drawn, reconstruct, random) : [];
  return [...drawn, ...decoded].map(measureSet);
}

function drawSets(scenes: number, random: Random): CaseSet[] {
  const placed = Array.from({ length: scenes }, () => {
    const scene = randomScene(random);
    const right = trueSpec(scene, random);
    return { scene, right, wrong: wrongSpec(right, scene, random) };
  });
  const clean = placed.map(({ scene, ...specs }) => ({ ...specs, picture: toPicture(drawScene(scene)) }));
  const disturbed = (disturb: (picture: Picture) => Picture): Case[] =>
    clean.map(({ picture, ...specs }) => ({ ...specs, picture: disturb(picture) }));
  return [
    { name: 'clean', cases: clean },
    { name: 'noise 0.05', cases: disturbed((picture) => addNoise(picture, 0.05, random)) },
    { name: 'blur 1', cases: disturbed((picture) => blur(picture, 1)) },
    ...MALFORMATIONS.map((name) => ({
      name: `malformed: ${name}`,
      cases: placed.map(({ scene, ...specs }) => ({
        ...specs,
        picture: toPicture(drawMalformed(scene, name, random)),
      })),
    })),
  ];
}

async function decodeSets(drawn: readonly CaseSet[], reconstruct: Reconstruct, random: Random): Promise<CaseSet[]> {
  const decode = async ({ name, cases }: CaseSet, noise: number): Promise<CaseSet> => {
    const pictures = await reconstruct(
      cases.map(({ picture }) => picture),
      { noise, random },
    );
    return {
      name: `decoded ${noise > 0 ? `with noise ${noise}: ` : ''}${name}`,
      cases: cases.map((item, i) => ({ ...item, picture: pictures[i]! })),
    };
  };
  const [clean, , , ...malformed] = drawn;
  const sets: CaseSet[] = [];
  for (const noise of [0, 0.1, 0.2]) sets.push(await decode(clean!, noise));
  for (const set of malformed) sets.push(await decode(set, 0));
  return sets;
}

function measureSet({ name, cases }: CaseSet): ErrorRow {
  const accepted = (strictness: 'prototype' | 'strict', which: 'right' | 'wrong'): Share => {
    const verdicts = cases.map((item) => judgeImage(item.picture, item[which], { strictness }));
    return shareOf(verdicts.filter(({ strict }) => strict).length, cases.length);
  };
  const both = (strictness: 'prototype' | 'strict'): ErrorRow['strict'] => ({
    right: accepted(strictness, 'right'),
    wrong: accepted(strictness, 'wrong'),
  });
  return { name, prototype: both('prototype'), strict: both('strict') };
}

/** Milliseconds per verdict by the strict rules: the median over pictures. */
function verdictTime(random: Random): number {
  const times = Array.from({ length: 300 }, () => {
    const scene = randomScene(random);
    const [picture, spec] = [drawScene(scene), trueSpec(scene, random)];
    const start = performance.now();
    judgeImage(picture, spec);
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}

function percent({ share, low, high }: Share): string {
  const text = (value: number): string => (100 * value).toFixed(1);
  return `${text(share).padStart(5)} [${text(low)}, ${text(high)}]`.padEnd(22);
}

async function main([scenes = '300', seed = '1', ...flags]: readonly string[]): Promise<void> {
  const decoder = flags.includes('--drawn') ? undefined : await openReconstruction('shapes');
  try {
    const rows = await measureErrors({ scenes: Number(scenes), seed: Number(seed), reconstruct: decoder?.reconstruct });
    const width = Math.max(...rows.map(({ name }) => name.length));
    const lines = rows.map(({ name, prototype, strict }) =>
      [name.padEnd(width), ...[prototype.right, strict.right, prototype.wrong, strict.wrong].map(percent)].join('  '),
    );
    const columns = ['right: prototype', 'right: strict', 'wrong: prototype', 'wrong: strict'];
    process.stdout.write(
      `accepted, percent of ${scenes} [95 % interval], seed ${seed}, node ${process.version}\n` +
        `${['set'.padEnd(width), ...columns.map((name) => name.padEnd(22))].join('  ')}\n${lines.join('\n')}\n` +
        `median time of a strict verdict: ${verdictTime(seededRandom(0)).toFixed(1)} ms\n`,
    );
  } finally {
    await decoder?.close();
  }
}

await main(process.argv.slice(2));
