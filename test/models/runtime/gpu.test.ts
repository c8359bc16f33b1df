import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { findGpu, type GpuSources } from '../../../models/runtime/gpu.ts';
import { temporaryFolder } from '../../support/folder.ts';

/** A system as the kernel shows it: files by path. */
async function system(files: Readonly<Record<string, string>>, more: Partial<GpuSources> = {}): Promise<GpuSources> {
  const root = await temporaryFolder();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const nvidiaSmi = (): never => {
    throw Object.assign(new Error('spawnSync nvidia-smi ENOENT'), { code: 'ENOENT' });
  };
  return { environment: {}, root, nvidiaSmi, ...more };
}

const DRIVER = { 'proc/driver/nvidia/gpus/0000:01:00.0/information': 'Model: \t\t NVIDIA H200\nIRQ:   \t\t 24\n' };
const BUS = {
  'sys/bus/pci/devices/0000:00:01.0/class': '0x020000\n',
  'sys/bus/pci/devices/0000:03:00.0/class': '0x030000\n',
  'sys/bus/pci/devices/0000:03:00.0/vendor': '0x1002\n',
  'sys/bus/pci/devices/0000:03:00.0/device': '0x744c\n',
};

describe('a GPU is named by', () => {
  test('the tool of its driver, with its memory', async () => {
    const asked: string[] = [];
    const nvidiaSmi = (given: readonly string[]): string => {
      asked.push(...given);
      return 'NVIDIA H100 80GB HBM3, 81559\n';
    };
    const environment = { CUDA_VISIBLE_DEVICES: '2,0' };
    expect(findGpu('cuda', await system(DRIVER, { nvidiaSmi, environment }))).toEqual({
      name: 'NVIDIA H100 80GB HBM3',
      memoryBytes: 81559 * 2 ** 20,
    });
    expect(asked).toContain('--id=2');
  });

  test("the driver's files, where there is no tool or it answers in words", async () => {
    expect(findGpu('cuda', await system(DRIVER))).toEqual({ name: 'NVIDIA H200' });
    const nvidiaSmi = (): string => 'No devices were found';
    expect(findGpu('webgpu', await system(DRIVER, { nvidiaSmi }))).toEqual({ name: 'NVIDIA H200' });
  });

  test('its numbers on the bus, of other makers', async () => {
    expect(findGpu('webgpu', await system(BUS))).toEqual({ name: 'PCI 1002:744c' });
    expect(findGpu('cuda', await system(BUS))).toBeUndefined();
  });
});

describe('no GPU is named for', () => {
  test('the CPU, nor for a machine without one', async () => {
    expect(findGpu('cpu', await system(DRIVER))).toBeUndefined();
    expect(findGpu('webgpu', await system({}))).toBeUndefined();
  });

  test('a driver in software, whatever the machine has', async () => {
    const environment = { VK_ICD_FILENAMES: '/usr/lib/chromium/vk_swiftshader_icd.json' };
    expect(findGpu('webgpu', await system({ ...DRIVER, ...BUS }, { environment }))).toBeUndefined();
  });
});
