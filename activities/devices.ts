/**
 * @file The devices of a run. On CPUs each device computes with one thread of its own, so that no result depends on how
 * an operator is divided among threads; more cores are used by more devices, which share out the lanes.
 */
import { availableParallelism, cpus } from 'node:os';

import type { Device, ProviderName } from '../models/runtime/device.ts';
import { gpuOf } from '../models/runtime/gpu.ts';
import { openDevice } from '../models/runtime/node-device.ts';

export interface DevicesRequest {
  readonly provider: ProviderName | 'auto';
  /** CPU cores to use; all by default. */
  readonly threads?: number;
  /** Gets one line: what was chosen, and why not what was tried before it. */
  readonly log?: (message: string) => void;
}

export interface Devices extends AsyncDisposable {
  readonly all: readonly Device[];
  readonly provider: ProviderName;
  /** Provider and what computes, processor or GPU: within one class results have the same bytes. */
  readonly deviceClass: string;
}

export function deviceClassOf(provider: ProviderName): string {
  return `${provider} ${process.arch} ${gpuOf(provider)?.name ?? cpus()[0]?.model.trim() ?? 'unknown processor'}`;
}

export async function openDevices({ provider, threads, log }: DevicesRequest): Promise<Devices> {
  const notes: string[] = [];
  const first = await openDevice({ memory: 'fast', threads: 1, provider, log: (note) => notes.push(note) });
  // What was chosen comes last; what was passed over, and why, belongs to it.
  const passedOver = notes.slice(0, -1);
  log?.([notes.at(-1) ?? `provider ${first.provider}`, ...passedOver].join('; '));
  const count = first.provider === 'cpu' ? (threads ?? availableParallelism()) : 1;
  const all = [first];
  try {
    const more = await Promise.all(
      Array.from({ length: count - 1 }, async () =>
        openDevice({ memory: 'fast', threads: 1, provider: first.provider }),
      ),
    );
    all.push(...more);
  } catch (error) {
    await first.close();
    throw error;
  }
  return {
    all,
    provider: first.provider,
    deviceClass: deviceClassOf(first.provider),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(all.map((device) => device.close()));
    },
  };
}
