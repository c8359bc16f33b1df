import { copyFile, mkdir, open, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { Compared } from '../../activities/trajectory/comparison.ts';
import { findRecordings, replay } from '../../activities/trajectory/replay.ts';
import type { Device } from '../../models/runtime/device.ts';
import { openDevice } from '../../models/runtime/node-device.ts';
import { openSafetensors } from '../../models/weights/safetensors.ts';
import { temporaryFolder } from '../support/folder.ts';

/** A search of 24 steps by PyTorch in float64, with tiny models: every random number given, every quantity recorded. */
const FOLDER = fileURLToPath(new URL('../fixtures/trajectory', import.meta.url));
const RECORDING = 'reference-trajectory-0.safetensors';

/** A free run adds up what 24 steps round; another processor adds up otherwise, so what torch in float32 loses is doubled. */
const TIMES_STATED = 2;

/** 48 steps, seconds on a machine that is free. */
const TIMEOUT = 180_000;

let device: Device;

beforeAll(async () => {
  device = await openDevice({ provider: 'cpu', threads: 1 });
});

afterAll(async () => {
  await device.close();
});

const label = ({ mode, step, quantity }: Compared): string => `${mode} ${step ?? '-'} ${quantity}`;

test('the recorded search, step by step and freely, agrees in every quantity', { timeout: TIMEOUT }, async () => {
  expect(await findRecordings(FOLDER)).toEqual([RECORDING]);
  const { compared } = await replay(FOLDER, RECORDING, device);
  expect(compared).toHaveLength(504);
  expect(compared.filter(({ ok }) => !ok)).toEqual([]);
  const drift = compared.filter(({ mode, quantity }) => mode === 'free' && quantity === 'z');
  expect(drift).toHaveLength(24);
  for (const { step, maxAbs, stated } of drift) {
    expect(maxAbs, `z after step ${step} of the free run`).toBeLessThan(TIMES_STATED * stated!);
  }
});

test('a gradient that is recorded one percent too large is found, and nothing else', { timeout: TIMEOUT }, async () => {
  const folder = await temporaryFolder();
  const copy = join(folder, 'trajectory');
  await mkdir(copy);
  for (const part of ['vae', 'unet', 'text_encoder', 'referee']) await symlink(join(FOLDER, part), join(copy, part));
  await copyFile(join(FOLDER, '..', 'index.json'), join(folder, 'index.json'));
  await copyFile(join(FOLDER, RECORDING), join(copy, RECORDING));
  await enlargeRow(join(copy, RECORDING), { tensor: 'output.g_vlm', row: 3, factor: 1.01 });
  const { compared } = await replay(copy, RECORDING, device);
  expect(compared.filter(({ ok }) => !ok).map(label)).toEqual(['step 3 g_vlm', 'free 3 g_vlm']);
});

interface Change {
  readonly tensor: string;
  readonly row: number;
  readonly factor: number;
}

async function enlargeRow(path: string, { tensor, row, factor }: Change): Promise<void> {
  await using opened = await openSafetensors(path);
  const { shape, offset } = opened.tensors.get(tensor)!;
  const { data } = await opened.read(tensor);
  const size = data.length / shape[0]!;
  const changed = Float32Array.from(data.subarray(row * size, (row + 1) * size) as Float32Array, (x) => x * factor);
  const file = await open(path, 'r+');
  await file.write(new Uint8Array(changed.buffer), 0, changed.byteLength, offset + row * size * 4);
  await file.close();
}
