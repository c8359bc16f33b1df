/**
 * @file Measures this machine: start-up, steps of one lane and of several, the end of a search, memory.
 */
import { availableParallelism, cpus, totalmem } from 'node:os';

import { openPack } from '../../models/packs/resolve.ts';
import type { ProviderName } from '../../models/runtime/device.ts';
import { CONTRACT_VERSION } from '../../store/ids.ts';
import type { Benchmark } from '../benchmarks.ts';
import { openDevices } from '../devices.ts';
import { Engine } from '../engine.ts';
import { choosePlan } from '../memory-plan.ts';
import { selfTest } from '../self-test.ts';
import { packDefaults } from '../specs.ts';
import { versions } from '../versions.ts';
import { measureEnd, measureSteps } from './measure.ts';

export interface BenchmarkRequest {
  readonly pack: string;
  readonly provider: ProviderName | 'auto';
  readonly threads?: number | undefined;
  /** Besides one. */
  readonly lanes: number;
  readonly signal: AbortSignal;
}

const REPEATS = 9;
/** Per measurement: a slow machine is known after few steps. */
const SECONDS = 20;

/**
 * Memory is the peak of the whole process, so this comes before everything else that a process does.
 * @throws RefereeError for a pack or provider that cannot be used; `signal.reason` when aborted
 */
export async function benchmark(request: BenchmarkRequest): Promise<Benchmark> {
  const { provider, threads, lanes, signal } = request;
  const begun = performance.now();
  const pack = await openPack(request.pack);
  await using devices = await openDevices({ provider, ...(threads !== undefined && { threads }) });
  const options = packDefaults(pack);
  const chosen = await choosePlan(pack, devices, { lanes, items: [{ options }] });
  const engine = await Engine.open(pack, devices.all, chosen);
  await selfTest(engine);
  const startSeconds = (performance.now() - begun) / 1000;
  const steps = [];
  for (const count of new Set([1, lanes])) {
    steps.push(await measureSteps(engine, { lanes: count, repeats: REPEATS, seconds: SECONDS, signal }));
  }
  const { name, version } = pack.manifest;
  return {
    v: 1,
    contract: CONTRACT_VERSION,
    date: new Date().toISOString(),
    machine: {
      processor: cpus()[0]?.model.trim() ?? 'unknown processor',
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      platform: `${process.platform} ${process.arch}`,
    },
    versions: { ...versions() },
    pack: { name, version, digest: pack.digest },
    provider: devices.provider,
    threads: devices.all.length,
    deviceClass: devices.deviceClass,
    plan: chosen.plan.kind,
    cutouts: options.cutouts,
    startSeconds,
    endSeconds: await measureEnd(engine),
    steps,
    peakBytes: 1024 * process.resourceUsage().maxRSS,
  };
}
