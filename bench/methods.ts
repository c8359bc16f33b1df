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
import type { StepNoise } from '../inversion/noise.ts';
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
const chosen = await choosePlan(pack, devices, { lanes, items: specs({}) });
const engine = await Engine.open(pack, devices.all, chosen);
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
  const { states, seconds } = await runAll('samples', { method: 'sample' }, most);
  const pictures = await finish(states.map(({ state, item }) => ({ item, latent: state.latent })));
  const counts = [1, 4, 8, 16].filter((count) => count <= most);
  return counts.map((count) => ({
    method: count === 1 ? 'one sample' : `best of ${count}`,
    secondsPerPicture: seconds * count,
    pictures: asked.map((_, item) =>
      pictures
        .filter((picture, at) => picture.item === item && states[at]!.candidate < count)
        .reduce((best, picture) => (picture.match > best.match ? picture : best)),
    ),
  }));
}

interface Finished {
  readonly item: number;
  readonly candidate: number;
  readonly state: LaneState;
}

interface Ran {
  readonly states: readonly Finished[];
  /** Per picture. */
  readonly seconds: number;
}

async function runAll(name: string, overrides: Record<string, unknown>, candidates = 1): Promise<Ran> {
  const works = await requests(specs(overrides), candidates);
  const byId = new Map(works.map((work) => [work.request.id, work]));
  const states: Finished[] = [];
  // What is loaded and compiled once is no part of a picture's time.
  await run(works.slice(0, 1), () => undefined);
  const begun = performance.now();
  await run(works, (id, state) => {
    const { item, candidate } = byId.get(id)!;
    states.push({ item, candidate, state });
    process.stderr.write(`\r${name}: ${states.length} of ${works.length}   `);
  });
  process.stderr.write('\n');
  return { states, seconds: (performance.now() - begun) / 1000 / works.length };
}

async function run(works: readonly Work[], onDone: (id: string, state: LaneState) => void): Promise<void> {
  const scheduler = new LaneScheduler(engine.models, { lanes, checkpointEvery: 1e6 });
  for await (const event of scheduler.run(works.map(({ request }) => request))) {
    if (event.kind === 'failed') throw event.error;
    if (event.kind === 'done') onDone(event.id, event.state);
  }
}

interface Work {
  readonly item: number;
  readonly candidate: number;
  readonly request: LaneRequest;
}

/** `candidates` lanes for every item; candidate c begins where best-of begins its c-th. */
async function requests(items: readonly ItemSpec[], candidates: number): Promise<Work[]> {
  const works: Work[] = [];
  for (const [item, { item: id, tokens, options, seed }] of items.entries()) {
    const prompt = await engine.preparePrompt(tokens);
    const noise = philoxNoise(seed, bank);
    for (let candidate = 0; candidate < candidates; candidate += 1) {
      const own: StepNoise = { ...noise, initialLatent: (count) => noise.initialLatent(count, candidate) };
      works.push({ item, candidate, request: { id: `${id}-${candidate}`, prompt, options, noise: own } });
    }
  }
  return works;
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
