import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { OPTION_NAMES } from '../../inversion/options.ts';
import { sha256 } from '../../store/ids.ts';
import { temporaryFolder } from '../support/folder.ts';
import { ONE_DEVICE, referee } from './support/command.ts';
import type { Event } from './support/command.ts';
import { pngTexts, webpChunks } from './support/image-text.ts';
import { filesOf } from './support/whole-files.ts';

type Json = Readonly<Record<string, unknown>>;

const PROMPT = 'a red circle to the left of a blue square';
const MARK = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia';

let folder: string;
/** One prompt, searched for 12 steps. */
let store: string;
let events: readonly Event[];
let run: string;
let item: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'referee-files-'));
  store = join(folder, 'store');
  const ended = await referee([...words(store), '--json']);
  expect(ended.code).toBe(0);
  events = ended.events;
  const done = events.find(({ type }) => type === 'done')!;
  [run, item] = [String(done['run']), String(done['item'])];
});

afterAll(() => rmSync(folder, { recursive: true }));

function words(to: string): string[] {
  return ['run', PROMPT, '--seed', '7', '--steps', '12', '--checkpoint-every', '4', '--store', to, ...ONE_DEVICE];
}

function read(file: string): Buffer {
  return readFileSync(join(store, run, file));
}

function readJson(file: string): Json {
  return JSON.parse(read(file).toString('utf8')) as Json;
}

function lines(text: string): Json[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Json);
}

/** Runs prompts, one a line, and returns the digest of every picture by prompt and seed. */
async function pictures(input: string, ...flags: readonly string[]): Promise<Record<string, string>> {
  const argv = ['run', '-', '--store', await temporaryFolder(), '--json', '--no-previews', ...ONE_DEVICE, ...flags];
  const ended = await referee(argv, { stdin: [input] });
  expect(ended.code).toBe(0);
  const done = ended.events.filter(({ type }) => type === 'done');
  return Object.fromEntries(
    done.map(({ prompt, seed, path }) => [`${String(prompt)} #${String(seed)}`, sha256(readFileSync(String(path)))]),
  );
}

describe('one prompt', () => {
  test('leaves exactly the files of the layout', () => {
    const [log, ...others] = filesOf(store).filter((file) => file.startsWith(`${run}/logs/${item}/`));
    expect(log).toMatch(/\/a[0-9a-f]{20}\.jsonl$/);
    expect(others).toEqual([]);
    expect(filesOf(store).filter((file) => file !== log)).toEqual(
      [
        'run.json',
        'prompts/part-00000.jsonl',
        'manifest.jsonl',
        ...['000008', '000012'].map((step) => `items/${item}/checkpoints/step-${step}.safetensors`),
        ...['000001', '000002', '000004', '000008'].map((step) => `items/${item}/previews/step-${step}.webp`),
        ...['spec.json', 'trace.jsonl', 'image.png', 'result.json'].map((file) => `items/${item}/${file}`),
      ]
        .map((file) => `${run}/${file}`)
        .sort(),
    );
    expect(item).toMatch(/^i[0-9a-f]{20}$/);
    expect(run).toBe(`r${sha256(item).slice(0, 12)}`);
  });

  test('is a picture that says how it was made, and that a machine made it', () => {
    const png = read(`items/${item}/image.png`);
    expect(decode(png, { checkCrc: true })).toMatchObject({ width: 64, height: 64, channels: 3, depth: 8 });
    const texts = pngTexts(png);
    expect(Object.keys(texts)).toEqual(['XML:com.adobe.xmp', 'parameters', 'referee']);
    expect(texts['XML:com.adobe.xmp']).toContain(`Iptc4xmpExt:DigitalSourceType="${MARK}"`);
    expect(texts['XML:com.adobe.xmp']).toContain(`<rdf:li xml:lang="x-default">${PROMPT}</rdf:li>`);
    expect(texts['parameters']).toMatch(
      new RegExp(`^${PROMPT}\nSteps: 12, Sampler: referee search, CFG scale: 10, Seed: 7,`),
    );
    expect(JSON.parse(texts['referee']!)).toMatchObject({
      v: 1,
      prompt: PROMPT,
      seed: 7,
      item,
      settings: readJson(`items/${item}/result.json`)['settings'],
    });
  });

  test('leaves previews with the same mark', () => {
    const chunks = webpChunks(read(`items/${item}/previews/step-000008.webp`));
    expect(Object.keys(chunks)).toEqual(['VP8X', 'ICCP', 'VP8 ', 'XMP ']);
    // Flags of what is there: colour profile and XMP.
    expect(chunks['VP8X']![0]).toBe(0x20 | 0x04);
    expect(chunks['XMP ']!.toString('utf8')).toContain(MARK);
    expect(chunks['VP8X']!.readUIntLE(4, 3) + 1).toBe(64);
  });

  test('leaves a result with everything that is known, which is the row of the manifest too', () => {
    const result = readJson(`items/${item}/result.json`);
    expect(read('manifest.jsonl').equals(read(`items/${item}/result.json`))).toBe(true);
    expect(result).toMatchObject({
      ...{ v: 1, run, item, index: 0, state: 'succeeded', prompt: PROMPT, seed: 7, method: 'search' },
      ...{ width: 64, height: 64, steps: 12, attempts: 1, provider: 'cpu', licence: 'Apache-2.0' },
      ...{ tags: [], flags: [], parents: [], metadata: {}, pack: { name: 'shapes' } },
    });
    const { digests, scores, settings, seconds } = result as Record<'digests' | 'scores' | 'settings', Json> & Json;
    expect(digests['image']).toBe(sha256(read(`items/${item}/image.png`)));
    expect(`i${String(digests['spec']).slice(0, 20)}`).toBe(item);
    expect(digests['latent']).toMatch(/^[0-9a-f]{64}$/);
    expect(Object.keys(scores)).toEqual(['match', 'judge', 'recall']);
    for (const score of Object.values(scores)) expect(score).toSatisfy((value: number) => value >= 0 && value <= 1);
    expect(Object.keys(settings)).toEqual(OPTION_NAMES.filter((name) => name !== 'augTopk'));
    expect(seconds).toBeGreaterThan(0);
    expect(events.find(({ type }) => type === 'done')).toMatchObject({ scores });
  });

  test('leaves what was asked: run, prompts, spec', () => {
    const { pack, versions } = readJson(`items/${item}/result.json`);
    expect(readJson('run.json')).toEqual({ v: 1, run, items: 1, pack, versions });
    const asked = {
      index: 0,
      item,
      prompt: PROMPT,
      seed: 7,
      overrides: expect.objectContaining({ steps: 12 }) as unknown,
    };
    expect(lines(read('prompts/part-00000.jsonl').toString())).toEqual([asked]);
    expect(readJson(`items/${item}/spec.json`)).toMatchObject({
      v: 1,
      item,
      prompt: PROMPT,
      seed: 7,
      options: { steps: 12 },
    });
  });

  test('leaves a row of the trace for every step, as it was told', () => {
    const rows = lines(read(`items/${item}/trace.jsonl`).toString());
    expect(rows.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, step) => step));
    const told = events.filter(({ type }) => type === 'step').map(({ losses }) => losses as Record<string, number>);
    for (const [step, row] of rows.entries()) {
      for (const name of ['timestep', 'lr', 'sdWeight', 'normSds']) expect(row[name]).toSatisfy(Number.isFinite);
      // The referee takes part in the first 10 of 12 steps, as in the first 54 of 64.
      const names = step < 10 ? ['itm', 'itg'] : [];
      expect(Object.keys(told[step]!)).toEqual(names);
      for (const name of names) expect(row[name]).toBeCloseTo(told[step]![name]!, 4);
      expect('normVlm' in row).toBe(step < 10);
      expect(JSON.stringify(row).length).toBeLessThan(250);
    }
  });
});

describe('a file of prompts', () => {
  const records = [
    { prompt: 'a green cross', id: 'slow', steps: 9, tags: ['x'], metadata: { row: 1 } },
    { prompt: 'a red circle', id: 'quick', steps: 2 },
    { prompt: 'two blue squares', seeds: [3, 1], steps: 4 },
  ];
  let manifest: Json[];
  let sheet: Buffer;
  let finished: Event[];

  beforeAll(async () => {
    const argv = ['run', '-', '--store', join(folder, 'several'), '--json', '--method', 'distil', '--lanes', '2'];
    const stdin = [records.map((record) => `${JSON.stringify(record)}\n`).join('')];
    const ended = await referee([...argv, ...ONE_DEVICE], { stdin });
    expect(ended.code).toBe(0);
    const { manifest: file, contactSheet } = ended.events.at(-1) as { manifest: string; contactSheet: string };
    manifest = lines(readFileSync(file, 'utf8'));
    sheet = readFileSync(contactSheet);
    finished = ended.events.filter(({ type }) => type === 'done');
  });

  test('has a manifest in the order of the input, whatever ended first', () => {
    expect(finished[0]).toMatchObject({ prompt: 'a red circle' });
    expect(manifest.map(({ index, id, seed, steps }) => [index, id, seed, steps])).toEqual([
      [0, 'slow', 0, 9],
      [1, 'quick', 0, 2],
      [2, undefined, 3, 4],
      [3, undefined, 1, 4],
    ]);
    expect(manifest[0]).toMatchObject({ tags: ['x'], metadata: { row: 1 } });
  });

  test('has a contact sheet with every picture', () => {
    const { width, height, data, channels } = decode(sheet, { checkCrc: true });
    // Two by two pictures of 192 pixels with margins of 12, under each of them room for five lines of 17.
    expect([width, height, channels]).toEqual([12 + 2 * 204, 12 + 2 * 289, 3]);
    const { path } = finished.find(({ index }) => index === 2)!;
    const picture = decode(readFileSync(String(path)));
    for (const [x, y] of [
      [0, 0],
      [31, 17],
      [63, 63],
    ] as const) {
      const at = 3 * ((12 + 289 + 3 * y + 1) * width + 12 + 3 * x + 1);
      expect([...data.subarray(at, at + 3)]).toEqual([
        ...picture.data.subarray(3 * (64 * y + x), 3 * (64 * y + x) + 3),
      ]);
    }
  });
});

describe('bytes do not depend on', () => {
  const three = 'a red circle\ntwo blue squares\na green cross above a red triangle\n';
  const quick = ['--steps', '4', '--seed', '5'];

  test('the lanes, the devices, and what else is in the file', async () => {
    const one = await pictures(three, '--lanes', '1', ...quick);
    expect(Object.keys(one)).toHaveLength(3);
    expect(await pictures(three, '--lanes', '3', ...quick)).toEqual(one);
    expect(await pictures(three, '--lanes', '3', '--threads', '2', ...quick)).toEqual(one);
    const more = await pictures(`an orange circle\n${three}# the same, and another\na yellow square\n`, ...quick);
    expect(Object.keys(more)).toHaveLength(5);
    expect(more).toMatchObject(one);
  });

  test('the other seeds', async () => {
    const both = await pictures('a red circle', '--seeds', '1,2', '--steps', '3');
    const [one, two] = [both['a red circle #1'], both['a red circle #2']];
    expect(one).not.toBe(two);
    expect(await pictures('a red circle', '--seed', '2', '--steps', '3')).toEqual({ 'a red circle #2': two });
  });
});

describe('every method', () => {
  async function madeBy(...flags: readonly string[]): Promise<{ result: Json; trace: Json[] }> {
    const argv = ['run', 'a red circle', '--store', await temporaryFolder(), '--json', ...ONE_DEVICE, ...flags];
    const { code, events: told } = await referee(argv);
    expect(code).toBe(0);
    const { path } = told.find(({ type }) => type === 'done') as { path: string };
    const file = (name: string): string => readFileSync(join(path, '..', name), 'utf8');
    return { result: JSON.parse(file('result.json')) as Json, trace: lines(file('trace.jsonl')) };
  }

  test('distil: no referee', async () => {
    const { result, trace } = await madeBy('--method', 'distil', '--steps', '5');
    expect(result).toMatchObject({ method: 'distil', steps: 5 });
    expect(trace).toHaveLength(5);
    for (const row of trace) expect(Object.keys(row)).toEqual(['step', 'timestep', 'lr', 'sdWeight', 'normSds']);
  });

  test('sample: one picture; best-of: the one of several that the referee likes best', async () => {
    const sample = await madeBy('--method', 'sample', '--sample-steps', '6');
    expect(sample.result).toMatchObject({ method: 'sample', steps: 6 });
    expect(sample.trace.map(({ candidate }) => candidate)).toEqual([0, 0, 0, 0, 0, 0]);

    const best = await madeBy('--method', 'best-of', '--candidates', '2', '--sample-steps', '6');
    expect(best.result).toMatchObject({ method: 'best-of', steps: 12 });
    expect(best.trace.map(({ candidate }) => candidate)).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    const scores = best.trace.flatMap(({ score }) => (score === undefined ? [] : [Number(score)]));
    expect(scores).toHaveLength(2);
    const { match } = best.result['scores'] as Record<'match', number>;
    expect(match).toBeCloseTo(Math.max(...scores), 5);
    // The first candidate is the sample.
    const latentOf = ({ digests }: Json): unknown => (digests as Json)['latent'];
    expect(latentOf(best.result) === latentOf(sample.result)).toBe(scores[0]! >= scores[1]!);
  });
});

test('the command as it was built works from any folder, with a store of its own there', async () => {
  const cwd = await temporaryFolder();
  const main = join(import.meta.dirname, '../../dist/cli/main.js');
  const argv = [main, 'run', 'a red circle', '--method', 'sample', '--sample-steps', '2', '--quiet', ...ONE_DEVICE];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, argv, { cwd });
  expect(stderr).toBe('');
  const [image, again] = stdout.split('\n');
  expect(image).toMatch(/^\S*runs\/r\w+\/items\/i\w+\/image\.png {2}match 0\.\d{3}/);
  expect(again).toMatch(/^again with {5}referee run 'a red circle' --method sample --sample-steps 2 .* --seed 0$/);
  expect(filesOf(join(cwd, 'runs')).filter((file) => file.endsWith('image.png'))).toHaveLength(1);
});
