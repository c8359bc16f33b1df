/**
 * @file Which GPU a provider computes on, as its driver or the system tells. onnxruntime says nothing of it, and takes the
 * first.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { ProviderName } from './device.ts';

export interface Gpu {
  /** "NVIDIA H100 80GB HBM3"; of other makers the numbers of maker and model on the PCI bus, "PCI 1002:744c". */
  readonly name: string;
  /** All of its memory, where the driver tells. */
  readonly memoryBytes?: number;
}

export interface GpuSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where the kernel shows its devices: normally `/`. */
  readonly root: string;
  /** What the driver's tool answers; throws where there is none. */
  readonly nvidiaSmi: (given: readonly string[]) => string;
}

const HERE: GpuSources = {
  environment: process.env,
  root: '/',
  nvidiaSmi: (given) =>
    execFileSync('nvidia-smi', given, { encoding: 'utf8', timeout: 20_000, stdio: ['ignore', 'pipe', 'ignore'] }),
};

const found = new Map<ProviderName, Gpu | undefined>();

/** Undefined for the CPU, for a driver in software, and where the system does not tell. Asked for once a process. */
export function gpuOf(provider: ProviderName): Gpu | undefined {
  if (!found.has(provider)) found.set(provider, findGpu(provider, HERE));
  return found.get(provider);
}

/** As `gpuOf`, of these sources. */
export function findGpu(provider: ProviderName, sources: GpuSources): Gpu | undefined {
  switch (provider) {
    case 'cpu':
    case 'coreml':
      return undefined;
    case 'cuda':
    case 'tensorrt':
    case 'dml':
      return nvidiaGpu(sources);
    case 'webgpu':
      return isInSoftware(sources) ? undefined : (nvidiaGpu(sources) ?? pciGpu(sources));
  }
}

/** SwiftShader or llvmpipe, where the Vulkan loader is told to take it. */
function isInSoftware({ environment }: GpuSources): boolean {
  const chosen = environment['VK_DRIVER_FILES'] ?? environment['VK_ICD_FILENAMES'] ?? '';
  return /swiftshader|lvp_icd|lavapipe|llvmpipe/i.test(chosen);
}

function nvidiaGpu(sources: GpuSources): Gpu | undefined {
  const [first = ''] = (sources.environment['CUDA_VISIBLE_DEVICES'] ?? '0').split(',');
  try {
    const fields = ['--query-gpu=name,memory.total', '--format=csv,noheader,nounits', `--id=${first.trim() || '0'}`];
    const [name = '', mebibytes = ''] = sources
      .nvidiaSmi(fields)
      .trim()
      .split(/\s*,\s*/);
    // It tells of an absent GPU in words, on the same stream.
    if (/^\d+$/.test(mebibytes)) return { name, memoryBytes: Number(mebibytes) * 2 ** 20 };
  } catch {
    // Not installed everywhere: the driver's files say less.
  }
  const model = /^Model:\s*(.+)$/m;
  return firstOf(join(sources.root, 'proc/driver/nvidia/gpus'), (folder) => {
    const name = model.exec(readFileSync(join(folder, 'information'), 'utf8'))?.[1]?.trim();
    return name === undefined ? undefined : { name };
  });
}

/** The first display controller: a device of class 03. */
function pciGpu({ root }: GpuSources): Gpu | undefined {
  return firstOf(join(root, 'sys/bus/pci/devices'), (folder) => {
    const read = (field: string): string => readFileSync(join(folder, field), 'utf8').trim().replace(/^0x/, '');
    return read('class').startsWith('03') ? { name: `PCI ${read('vendor')}:${read('device')}` } : undefined;
  });
}

/** In the order of their places on the bus. */
function firstOf(folder: string, look: (device: string) => Gpu | undefined): Gpu | undefined {
  try {
    for (const name of readdirSync(folder).sort()) {
      const gpu = look(join(folder, name));
      if (gpu !== undefined) return gpu;
    }
  } catch {
    // No such bus or driver.
  }
  return undefined;
}
