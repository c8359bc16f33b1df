/**
 * @file A child process with a verbose onnxruntime: the graphs of a search on WebGPU, as `PackModels` builds them there, are
 * opened there. What ran where is known when a session is made; the runtime says it on stderr.
 */
import { env, InferenceSession } from 'onnxruntime-node';

import { choosePlan } from '../../../activities/memory-plan.ts';
import { PackModels } from '../../../activities/pack-models.ts';
import { packDefaults } from '../../../activities/specs.ts';
import { openParts } from '../../../models/packs/parts.ts';
import { openPack } from '../../../models/packs/resolve.ts';
import type { Device } from '../../../models/runtime/device.ts';
import { openDevice } from '../../../models/runtime/node-device.ts';
import { sessionOptions } from '../../../models/runtime/session-settings.ts';
import { callAll, testLanes } from '../../activities/support/lanes.ts';

const graphs = new Map<string, Uint8Array>();
const cpu = await openDevice({ provider: 'cpu', threads: 1 });
/** The graphs of WebGPU; computed on the CPU, which has a kernel for everything in them and is sooner ready. */
const recording: Device = {
  provider: 'webgpu',
  threads: 1,
  load: (model, options) => {
    graphs.set(options.name, new Uint8Array(model));
    return cpu.load(model, options);
  },
  stats: () => cpu.stats(),
  close: () => cpu.close(),
};
const pack = await openPack('shapes');
const items = [{ options: packDefaults(pack) }];
const { adjoint, plan } = await choosePlan(pack, { provider: 'webgpu', all: [recording] }, { lanes: 1, items });
const models = new PackModels(await openParts(pack), [recording], { adjoint, plan });
await callAll(models, (await testLanes(pack, models)).slice(0, 1));
await cpu.close();

env.logLevel = 'verbose';
for (const [name, model] of graphs) {
  process.stderr.write(`\n=== ${name}\n`);
  const options = sessionOptions({ provider: 'webgpu', threads: 1, memory: 'fast', weightsRoot: '/' });
  const session = await InferenceSession.create(model, { ...options, logSeverityLevel: 0 });
  await session.release();
}
