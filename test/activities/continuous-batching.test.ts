import { afterAll, beforeAll, expect, test } from 'vitest';

import { PackModels } from '../../activities/pack-models.ts';
import { noiseBank } from '../../inversion/noise-bank.ts';
import { philoxNoise } from '../../inversion/noise.ts';
import { resolveOptions, SHAPES_DEFAULTS } from '../../inversion/options.ts';
import type { LaneRequest } from '../../inversion/search.ts';
import { LaneScheduler } from '../../inversion/search.ts';
import { openParts } from '../../models/packs/parts.ts';
import { openPack } from '../../models/packs/resolve.ts';
import type { Device } from '../../models/runtime/device.ts';
import { openDevice } from '../../models/runtime/node-device.ts';
import { testLanes } from './support/lanes.ts';

let device: Device;
let models: PackModels;
let requests: LaneRequest[];

/** Searches of different lengths and methods: lanes enter and leave at different steps. */
const LENGTHS = [3, 1, 4, 2, 5, 2, 1, 3];

beforeAll(async () => {
  device = await openDevice({ provider: 'cpu', threads: 1 });
  const pack = await openPack('shapes');
  models = new PackModels(await openParts(pack), [device]);
  const bank = noiseBank(3 * models.cutoutSize ** 2);
  const lanes = await testLanes(pack, models);
  requests = lanes.map(({ prompt }, at) => ({
    id: `lane-${at}`,
    prompt,
    options: resolveOptions(SHAPES_DEFAULTS, { steps: LENGTHS[at]!, method: at === 5 ? 'distil' : 'search' }),
    noise: philoxNoise(at, bank),
  }));
});

afterAll(() => device.close());

async function run(lanes: number): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for await (const event of new LaneScheduler(models, { lanes, checkpointEvery: 100 }).run(requests)) {
    if (event.kind === 'failed') throw event.error;
    if (event.kind === 'done') found.set(event.id, event.latent);
  }
  return found;
}

test('eight searches end with the same bytes on 1, 3 and 8 lanes', async () => {
  const [one, three, eight] = [await run(1), await run(3), await run(8)];
  expect(one.size).toBe(requests.length);
  for (const { id } of requests) {
    expect(three.get(id), id).toEqual(one.get(id));
    expect(eight.get(id), id).toEqual(one.get(id));
  }
});
