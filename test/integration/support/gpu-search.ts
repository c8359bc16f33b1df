/**
 * @file A child process on WebGPU: recordings of single models, then the first steps of the recorded search, twice. Prints
 * one JSON document.
 */
import { checkFolder } from '../../../activities/models-check.ts';
import { replay } from '../../../activities/trajectory/replay.ts';
import { openDevice } from '../../../models/runtime/node-device.ts';
import { fixturePath } from '../../support/fixtures.ts';

const FOLDER = fixturePath('trajectory');
const [steps = '1'] = process.argv.slice(2);
const models = [];
for (const folder of ['clip-text', 'autoencoder-kl']) {
  models.push(await checkFolder(fixturePath(folder), { device: { provider: 'webgpu', threads: 1 } }));
}
const device = await openDevice({ provider: 'webgpu', threads: 1 });
const searches = [];
for (let time = 0; time < 2; time += 1) {
  const { compared, latent } = await replay(FOLDER, 'reference-trajectory-0.safetensors', device, {
    steps: Number(steps),
  });
  searches.push({ compared, latent: [...latent] });
}
await device.close();
process.stdout.write(JSON.stringify({ provider: device.provider, models, searches }));
