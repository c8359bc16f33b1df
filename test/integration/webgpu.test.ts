import { fileURLToPath } from 'node:url';

import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';

import type { CheckReport } from '../../activities/models-check.ts';
import type { Compared } from '../../activities/trajectory/comparison.ts';
import { replay } from '../../activities/trajectory/replay.ts';
import { openDevice } from '../../models/runtime/node-device.ts';
import { fixturePath } from '../support/fixtures.ts';
import { softwareVulkan } from '../support/software-vulkan.ts';

interface Search {
  readonly compared: readonly Compared[];
  readonly latent: readonly number[];
}

interface Told {
  readonly provider: string;
  readonly models: readonly CheckReport[];
  readonly searches: readonly Search[];
}

const STEPS = 2;
/** Two float32 programs, each twice as far from the float64 search as torch's float32 is. */
const TIMES_STATED = 4;
/** Most of it is compiling shaders on the processor: half a minute where it is free, many times that where it is not. */
const TIMEOUT = 600_000;

const env = softwareVulkan();

/** Where the driver is not installed `npm test` says so in its last lines. */
describe.skipIf(env === undefined)('WebGPU on a Vulkan driver in software', () => {
  let told: Told;
  beforeAll(async () => {
    const child = fileURLToPath(new URL('./support/gpu-search.ts', import.meta.url));
    const tsx = fileURLToPath(import.meta.resolve('tsx'));
    const { stdout } = await execa(process.execPath, ['--import', tsx, child, String(STEPS)], { env: env! });
    told = JSON.parse(stdout) as Told;
  }, TIMEOUT);

  test('a text encoder and a decoder with its gradient agree with PyTorch', () => {
    expect(told.models.map(({ provider, ok }) => ({ provider, ok }))).toEqual([
      { provider: 'webgpu', ok: true },
      { provider: 'webgpu', ok: true },
    ]);
    const tensors = told.models.flatMap(({ rows }) => rows.map(({ tensor }) => tensor));
    expect(tensors).toEqual(expect.arrayContaining(['output.last_hidden_state', 'output.image', 'gradient.latent']));
  });

  test('steps of a search agree with PyTorch in every stage, loss and gradient', () => {
    const [search] = told.searches;
    // Final pictures belong to the recorded end and are computed whatever the number of steps.
    const names = new Set(search!.compared.map(({ quantity }) => quantity));
    for (const name of ['step0.pixel_values', 'step0.gradient_pixel_values', 'step0.gradient_image', 'g_sds', 'g_vlm'])
      expect(names).toContain(name);
    expect(search!.compared.filter(({ ok }) => !ok)).toEqual([]);
  });

  test('the same search twice ends with the same bytes', () => {
    const [first, second] = told.searches;
    expect(second!.latent).toEqual(first!.latent);
    expect(second!.compared).toEqual(first!.compared);
  });

  test('the search ends near that of the CPU', { timeout: TIMEOUT }, async () => {
    const cpu = await openDevice({ provider: 'cpu', threads: 1 });
    const name = 'reference-trajectory-0.safetensors';
    const there = await replay(fixturePath('trajectory'), name, cpu, { steps: STEPS });
    await cpu.close();
    const [search] = told.searches;
    const isLast = ({ mode, quantity, step }: Compared): boolean =>
      mode === 'free' && quantity === 'z' && step === STEPS - 1;
    const stated = search!.compared.find(isLast)!.stated!;
    expect(search!.latent).toHaveLength(there.latent.length);
    const apart = Math.max(...search!.latent.map((value, at) => Math.abs(value - there.latent[at]!)));
    expect(apart).toBeLessThan(TIMES_STATED * stated);
  });
});
