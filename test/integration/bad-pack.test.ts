import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { sha256 } from '../../store/ids.ts';
import { ONE_DEVICE } from './support/command.ts';
import { refused } from './support/refused.ts';

const shapes = join(import.meta.dirname, '../../packs/shapes');

let pack: string;

beforeAll(() => {
  pack = join(mkdtempSync(join(tmpdir(), 'referee-pack-')), 'mine');
  cpSync(shapes, pack, { recursive: true });
});
afterAll(() => rmSync(join(pack, '..'), { recursive: true }));

/** Refused as it is during `change`; the file is put back afterwards. */
async function refusedWith(
  file: string,
  change: (bytes: Buffer) => Uint8Array | string,
  isListed = false,
): Promise<string> {
  const [path, list] = [join(pack, file), join(pack, 'manifest.json')];
  const [bytes, listed] = [readFileSync(path), readFileSync(list)];
  const store = join(pack, '../store');
  try {
    writeFileSync(path, change(Buffer.from(bytes)));
    if (isListed) writeFileSync(list, withDigestOf(listed, file, readFileSync(path)));
    return (await refused(['run', 'a cross', '--pack', pack, '--store', store, ...ONE_DEVICE])).replaceAll(
      pack,
      'PACK',
    );
  } finally {
    writeFileSync(path, bytes);
    writeFileSync(list, listed);
    expect(readdirSync(join(pack, '..'))).toEqual(['mine']);
  }
}

function withDigestOf(manifest: Buffer, file: string, bytes: Buffer): string {
  const parsed = JSON.parse(manifest.toString()) as { files: { path: string; bytes: number; sha256: string }[] };
  const files = parsed.files.map((entry) =>
    entry.path === file ? { path: file, bytes: bytes.length, sha256: sha256(bytes) } : entry,
  );
  return JSON.stringify({ ...parsed, files });
}

test('whose weights changed in one byte', async () => {
  const weights = 'unet/diffusion_pytorch_model.safetensors';
  const flipped = await refusedWith(weights, (bytes) => {
    bytes[bytes.length >> 1]! ^= 1;
    return bytes;
  });
  expect(flipped).toMatch(
    /^PACK\/unet\/.*: found sha256 [0-9a-f]{12}\.\.\., expected [0-9a-f]{12}\.\.\. as in the manifest/,
  );
  const cut = await refusedWith(weights, (bytes) => bytes.subarray(0, -1));
  expect(cut).toMatch(/^PACK\/unet\/.*: found \d+ bytes, expected \d+ bytes as in the manifest of pack shapes$/);
});

test('whose config is broken, listed in the manifest or not', async () => {
  const broken = (): string => '{"block_out_channels": [';
  expect(await refusedWith('unet/config.json', broken)).toMatch(/^PACK\/unet\/config\.json: found \d+ bytes, expected/);
  const listed = await refusedWith('unet/config.json', broken, true);
  expect(listed).toMatch(/^PACK\/unet\/config\.json: expected a JSON document, found /);
  const wrong = await refusedWith('referee/config.json', () => '{"model_type": "blip-2"}', true);
  expect(wrong).toMatch(/^PACK\/referee: tensor "vision_model\..*" has shape \[.*\], expected \[/);
  const scheduler = await refusedWith('scheduler/scheduler_config.json', () => '{"beta_start": "x"}', true);
  expect(scheduler).toMatch(/^PACK\/scheduler\/scheduler_config\.json: "beta_start": /);
});

test('whose weights are none, or of another size than the config says', async () => {
  const weights = 'vae/diffusion_pytorch_model.safetensors';
  const cut = await refusedWith(weights, (bytes) => bytes.subarray(0, 100), true);
  expect(cut).toMatch(/^PACK\/vae\/diffusion_pytorch_model\.safetensors: /);
  const config = 'vae/config.json';
  const wider = await refusedWith(
    config,
    (bytes) => bytes.toString().replace('"latent_channels": 4', '"latent_channels": 8'),
    true,
  );
  expect(wider).toMatch(
    /^PACK\/vae\/config\.json: "latent_channels": found 8, expected 4, the channels that PACK\/unet takes$/,
  );
  const broader = await refusedWith(
    config,
    (bytes) => bytes.toString().replace(/"block_out_channels": \[\s*\d+/, '"block_out_channels": [64'),
    true,
  );
  expect(broader).toMatch(/^PACK\/vae: tensor ".*" has shape \[.*\], expected \[/);
  const tokenizer = await refusedWith('tokenizer/tokenizer.json', () => '{"model": 7}', true);
  expect(tokenizer).toMatch(/^PACK\/tokenizer/);
});

test('whose manifest is broken', async () => {
  expect(await refusedWith('manifest.json', () => '{')).toMatch(/^PACK\/manifest\.json: expected JSON, found /);
  const typo = await refusedWith('manifest.json', (bytes) => bytes.toString().replace('"steps"', '"stepz"'));
  expect(typo).toMatch(/^PACK\/manifest\.json: defaults: .*"stepz": did you mean "steps"/);
  const escape = await refusedWith('manifest.json', (bytes) =>
    bytes.toString().replace('"folder": "vae"', '"folder": "../vae"'),
  );
  expect(escape).toMatch(/^PACK\/manifest\.json: "parts\.decoder\.folder": .*found "\.\.\/vae"$/);
});
