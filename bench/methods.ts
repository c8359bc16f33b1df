/**
 * @file The methods against each other on held-out prompts of the shapes world: strict success by the judge, with 95 %
 * intervals, and seconds per picture.
 *
 * Usage: tsx bench/methods.ts [--prompts 48] [--seeds 4] [--lanes 8] [--candidates 16] [--out results.json] [--sheet sheet.png]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { openDevices } from '../activities/devices.ts';
import { Engine } from '../activities/engine.ts';
import { choosePlan } from '../activities/memory-plan.ts';
import { PromptTokenizer } from '../activities/prompts.ts';
import { resolveRun } from '../activities/specs.ts';
import type { ItemSpec } from '../activities/specs.ts';
import { noiseBank } from '../inversion/noise-bank.ts';
import { philoxNoise } from '../inversion/noise.ts';
import type { LaneRequest } from '../inversion/search.ts';
import { LaneScheduler } from '../inversion/search.ts';
import type { LaneState } from '../inversion/state.ts';
import { parsePrompt } from '../judge/prompt.ts';
import type { ScoredItem } from '../judge/score.ts';
import { scoreTable } from '../judge/score.ts';
import { judgeImage } from '../judge/verdict.ts';
import { openPack } from '../models/packs/resolve.ts';
import { encodeContactSheet } from '../store/contact-sheet.ts';
import { toRgb8 } from '../store/pixels.ts';
import { machine } from './machine.ts';

interface HeldOut {
  readonly category: string;
  readonly prompt: string;
}

/** One finished picture. */
interface Picture {
  readonly item: number;
  readonly pixels01: Float32Array;
  /** Probability of a match by the referee that searched. */
  readonly match: number;
}

interface Row {
  readonly method: string;
  readonly secondsPerPicture: number;
  readonly pictures: readonly Picture[];
}

const { values: flags } = parseArgs({
  options: {
    prompts: { type: 'string', default: '48' },
    seeds: { type: 'string', default: '4' },
    lanes: { type: 'string', default: '8' },
    candidates: { type: 'string', default: '16' },
    out: { type: 'string' },
    sheet: { type: 'string' },
  },
});
const file = new URL('../test/fixtures/shapes-prompts/prompts.json', import.meta.url);
const held = (JSON.parse(await readFile(file, 'utf8')) as HeldOut[]).slice(0, Number(flags.prompts));
const seeds = Array.from({ length: Number(flags.seeds) }, (_, at) => at + 1);
const asked = held.flatMap(({ prompt, category }) => seeds.map((seed) => ({ prompt, category, seed })));

const pack = await openPack('shapes');
const tokenizer = await PromptTokenizer.open(pack);
await using devices = await openDevices({ provider: 'cpu' });
const lanes = Number(flags.lanes);
const { plan, adjoint } = await choosePlan(pack, devices, { lanes, items: specs({}) });
const engine = await Engine.open(pack, devices.all, { plan, adjoint });
const bank = noiseBank(3 * engine.models.cutoutSize ** 2);
const [height, width] = engine.imageSize;

process.stdout.write(
  `${machine()}; ${held.length} prompts, ${seeds.length} seeds, ${lanes} lanes, ${devices.all.length} devices\n\n`,
);
const rows: Row[] = [...(await searches()), ...(await distillations()), ...(await samples())];
process.stdout.write(table(rows, 'strict'));
process.stdout.write(table(rows, 'prototype'));
if (flags.out !== undefined) await writeFile(flags.out, `${JSON.stringify(figures(rows), undefined, 1)}\n`);
if (flags.sheet !== undefined) await writeFile(flags.sheet, await sheet(rows));

function specs(overrides: Record<string, unknown>): readonly ItemSpec[] {
  const requests = asked.map(({ prompt, seed }, index) => ({ index, prompt, seed, overrides, tags: [], metadata: {} }));
  return resolveRun(requests, pack, tokenizer).items;
}

async function searches(): Promise<Row[]> {
  const { states, seconds } = await runAll('search', {});
  const of = (readout: 'latent' | 'ema'): Promise<Picture[]> =>
    finish(
      states.map(({ state, item }) => ({ item, latent: state.kind === 'search' ? state[readout] : state.latent })),
    );
  return [
    { method: 'search, latent', secondsPerPicture: seconds, pictures: await of('latent') },
    { method: 'search, average', secondsPerPicture: seconds, pictures: await of('ema') },
  ];
}

async function distillations(): Promise<Row[]> {
  const { states, seconds } = await runAll('distil', { method: 'distil' });
  const latents = states.map(({ state, item }) => ({ item, latent: state.latent }));
  return [{ method: 'distillation only', secondsPerPicture: seconds, pictures: await finish(latents) }];
}

/** One pass over the most candidates gives all smaller choices too: the first k candidates are those of best-of k. */
async function samples(): Promise<Row[]> {
  const most = Number(flags.candidates);
  const { candidates, seconds } = await runAll('samples', { method: 'best-of', candidates: most });
  const pictures = await finish(candidates);
  const byItem = new Map<number, Picture[]>();
  for (const picture of pictures) byItem.set(picture.item, [...(byItem.get(picture.item) ?? []), picture]);
  const counts = [1, 4, 8, 16].filter((count) => count <= most);
  return counts.map((count) => ({
    method: count === 1 ? 'one sample' : `best of ${count}`,
    secondsPerPicture: (seconds * count) / most,
    pictures: [...byItem.values()].map((own) =>
      own.slice(0, count).reduce((best, picture) => (picture.match > best.match ? picture : best)),
    ),
  }));
}

interface Finished {
  readonly item: number;
  readonly state: LaneState;
}

interface Ran {
  readonly states: readonly Finished[];
  /** Every finished candidate of every item, in order. */
  readonly candidates: readonly { readonly item: number; readonly latent: Float32Array }[];
  /** Per item. */
  readonly seconds: number;
}

async function runAll(name: string, overrides: Record<string, unknown>): Promise<Ran> {
  const items = specs(overrides);
  const at = new Map(items.map(({ item, index }) => [item as string, index]));
  const states: Finished[] = [];
  const candidates: { item: number; latent: Float32Array }[] = [];
  // What is loaded and compiled once is no part of a picture's time.
  for await (const _ of new LaneScheduler(engine.models, { lanes, checkpointEvery: 1e6 }).run(
    await requests(items.slice(0, 1)),
  )) {
    // Warm-up.
  }
  const begun = performance.now();
  const scheduler = new LaneScheduler(engine.models, { lanes, checkpointEvery: 1e6 });
  for await (const event of scheduler.run(await requests(items))) {
    const item = at.get(event.id)!;
    if (event.kind === 'step' && event.report.kind === 'sample' && event.report.score !== undefined) {
      candidates.push({ item, latent: event.state.latent });
    }
    if (event.kind === 'failed') throw event.error;
    if (event.kind !== 'done') continue;
    states.push({ item, state: event.state });
    process.stderr.write(`\r${name}: ${states.length} of ${items.length}   `);
  }
  process.stderr.write('\n');
  return { states, candidates, seconds: (performance.now() - begun) / 1000 / items.length };
}

async function requests(items: readonly ItemSpec[]): Promise<LaneRequest[]> {
  return Promise.all(
    items.map(async ({ item, tokens, options, seed }) => ({
      id: item,
      prompt: await engine.preparePrompt(tokens),
      options,
      noise: philoxNoise(seed, bank),
    })),
  );
}

/** Decodes and scores, a few at a time. */
async function finish(latents: readonly { item: number; latent: Float32Array }[]): Promise<Picture[]> {
  const tokens = specs({}).map((spec) => spec.tokens);
  const pictures: Picture[] = [];
  for (const { item, latent } of latents) {
    const prompt = await engine.preparePrompt(tokens[item]!);
    const [match] = await engine.models.score({ lanes: 1, latents: latent, prompts: [prompt] });
    pictures.push({ item, pixels01: await engine.models.decode(latent, 1), match: match! });
  }
  return pictures;
}

function judged({ pictures }: Row, strictness: 'strict' | 'prototype'): ScoredItem[] {
  return pictures.map(({ item, pixels01 }) => {
    const { prompt, category } = asked[item]!;
    return { category, verdict: judgeImage(pixels01, parsePrompt(prompt)!, { strictness }) };
  });
}

function table(all: readonly Row[], strictness: 'strict' | 'prototype'): string {
  const lines = all.map((row) => {
    const [total, ...categories] = scoreTable(judged(row, strictness));
    const { share, low, high } = total!.strict;
    const perCategory = categories.map((category) => category.strict.share.toFixed(2)).join(' ');
    const match = row.pictures.reduce((sum, picture) => sum + picture.match, 0) / row.pictures.length;
    const cells = [row.method, `${share.toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`, total!.recall.toFixed(2)];
    return `| ${[...cells, perCategory, match.toFixed(2), row.secondsPerPicture.toFixed(2)].join(' | ')} |\n`;
  });
  const names = scoreTable(judged(all[0]!, strictness))
    .slice(1)
    .map(({ category }) => category);
  return [
    `${strictness === 'strict' ? 'Strict judge' : "The prototype's judge"}\n\n`,
    `| method | success (95 %) | recall | ${names.join(', ')} | match | seconds |\n`,
    '| --- | --- | --- | --- | --- | --- |\n',
    ...lines,
    '\n',
  ].join('');
}

function figures(all: readonly Row[]): object {
  const of = (row: Row): object => ({
    method: row.method,
    secondsPerPicture: row.secondsPerPicture,
    strict: scoreTable(judged(row, 'strict')),
    prototype: scoreTable(judged(row, 'prototype')),
  });
  return { machine: machine(), prompts: held.length, seeds: seeds.length, rows: all.map(of) };
}

/** First seed of every fourth prompt, a column per method. */
async function sheet(all: readonly Row[]): Promise<Uint8Array> {
  const shown = asked.flatMap((_, item) => (item % (4 * seeds.length) === 0 ? [item] : []));
  const cells = shown.flatMap((item) =>
    all.map((row) => {
      const picture = row.pictures.find((candidate) => candidate.item === item)!;
      const { strict } = judgeImage(picture.pixels01, parsePrompt(asked[item]!.prompt)!);
      return {
        image: toRgb8(picture.pixels01, width, height),
        label: asked[item]!.prompt,
        note: `${row.method}: ${strict ? 'yes' : 'no'}`,
      };
    }),
  );
  return encodeContactSheet(cells, {}, all.length);
}
