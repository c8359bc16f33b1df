import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { readFile } from 'node:fs/promises';
import { decode } from 'fast-png';
import { execa } from 'execa';
import { expect, test } from 'vitest';

import { fixturePath } from '../support/fixtures.ts';
import { temporaryFolder } from '../support/folder.ts';

const folder = fileURLToPath(new URL('../../examples/gradients/', import.meta.url));
const classifier = fixturePath('networks/pp-ocr-direction.onnx');
const line = join(folder, 'line.png');

/** As a stranger runs them: by node, against the package as it was built. */
const example = async (name: string, ...argv: readonly string[]): Promise<string> =>
  (await execa(process.execPath, [join(folder, name), ...argv])).stdout;

/** Mean brightness over the given part of the width. */
async function brightness(path: string, from: number, to: number): Promise<number> {
  const { width, height, channels, data } = decode(await readFile(path));
  let [sum, count] = [0, 0];
  for (let y = 0; y < height; y += 1)
    for (let x = Math.floor(from * width); x < to * width; x += 1, count += 1) sum += data[(y * width + x) * channels]!;
  return sum / count;
}

test('the saliency map: the classifier sees an upright line, and the letters decide, not the margins', async () => {
  const map = join(await temporaryFolder(), 'map.png');
  expect(await example('saliency.js', classifier, line, map)).toMatch(/^upright 0\.99|^upright 1\.0000/);
  const [margins, letters] = [await brightness(map, 0, 0.08), await brightness(map, 0.15, 0.85)];
  expect(letters).toBeLessThan(margins - 10);
});

test('a picture optimised for the classifier: it is sure of what it denied, and the picture is nearly the same', async () => {
  const changed = join(await temporaryFolder(), 'changed.png');
  const said = await example('optimise.js', classifier, line, '1', changed, '20');
  expect(Number(/step 20: score (\S+)/.exec(said)?.[1])).toBeGreaterThan(0.9);
  const [before, after] = await Promise.all([line, changed].map(async (path) => decode(await readFile(path))));
  const difference = (at: number): number => {
    const [pixel, channel] = [Math.floor(at / 3), at % 3];
    return Math.abs(before!.data[pixel * before!.channels + channel]! - after!.data[at]!);
  };
  const all = Array.from(after!.data, (_, at) => difference(at));
  expect(all.reduce((a, b) => a + b, 0) / all.length).toBeLessThan(25);
});
