import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';

import { openProfiledDevice } from '../../../models/runtime/node-device.ts';
import { readPlacement } from '../../../models/runtime/placement.ts';
import { encodeTinyModel } from '../../../models/runtime/tiny-model.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { softwareVulkan } from '../../support/software-vulkan.ts';

/** The loader of sources has a folder of its own in the same place. */
const profilesIn = (folder: string): string[] => readdirSync(folder).filter((name) => name.startsWith('referee-'));

const event = (op_name: string, provider: string, node_index: string, name = `${op_name}_kernel_time`) => ({
  cat: 'Node',
  name,
  args: { op_name, provider, node_index },
});
const GPU = 'WebGpuExecutionProvider';
const CPU = 'CPUExecutionProvider';

test('a profile is read to nodes by operator: each node once, whatever the number of runs, without copies', () => {
  const events = [
    { cat: 'Session', name: 'model_run' },
    event('Conv', GPU, '1'),
    event('Conv', GPU, '1'),
    event('MemcpyToHost', GPU, '2'),
    event('Shape', CPU, '3'),
    event('Concat', CPU, '4'),
    event('Concat', CPU, '5'),
    event('Concat', CPU, '5', 'Concat_fence_before'),
  ];
  expect(readPlacement('decode', JSON.stringify(events))).toEqual({
    session: 'decode',
    nodes: 4,
    onCpu: { Shape: 1, Concat: 2 },
  });
});

test.each(['{', '{"a": 1}', '[1]'])('a profile that is none is refused: %s', (text) => {
  expect(() => readPlacement('x', text)).toThrow();
});

/** A temporary folder of this test alone, for the device's thread too, which inherits the variable. */
async function ownTemporaryFolder(): Promise<string> {
  const [folder, before] = [await temporaryFolder(), tmpdir()];
  process.env['TMPDIR'] = folder;
  onTestFinished(() => void (process.env['TMPDIR'] = before));
  return folder;
}

describe('a device', () => {
  test('tells where its nodes ran, once, goes on computing, and leaves no profile', async () => {
    const folder = await ownTemporaryFolder();
    const device = await openProfiledDevice({ provider: 'cpu', threads: 1 });
    onTestFinished(() => device.close());
    const model = encodeTinyModel({
      nodes: [
        { op: 'MatMul', inputs: ['x', 'x'], outputs: ['xx'] },
        { op: 'Neg', inputs: ['xx'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x', shape: ['N', 'N'] }],
      outputs: [{ name: 'y', shape: ['N', 'N'] }],
    });
    const session = await device.load(model, { name: 'both' });
    await device.load(model, { name: 'never run' });
    const x = { dtype: 'float32', shape: [1, 1], data: Float32Array.of(3) } as const;
    for (let time = 0; time < 2; time += 1) await session.run({ x });
    expect(profilesIn(folder)).toEqual([expect.stringMatching(/^referee-profile-/)]);
    expect(await device.placement()).toEqual([
      { session: 'both', nodes: 2, onCpu: { MatMul: 1, Neg: 1 } },
      { session: 'never run', nodes: 0, onCpu: {} },
    ]);
    expect((await session.run({ x }))['y']?.data).toEqual(Float32Array.of(-9));
    await expect(device.placement()).rejects.toThrow('was asked before');
    await device.close();
    expect(profilesIn(folder)).toEqual([]);
  });

  test('that is closed without having been asked leaves no profile either', async () => {
    const folder = await ownTemporaryFolder();
    const device = await openProfiledDevice({ provider: 'cpu', threads: 1 });
    const model = encodeTinyModel({
      nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
      inputs: [{ name: 'x', shape: ['N'] }],
      outputs: [{ name: 'y', shape: ['N'] }],
    });
    await device.load(model, { name: 'one' });
    await device.close();
    expect(profilesIn(folder)).toEqual([]);
  });

  const env = softwareVulkan();
  test.skipIf(env === undefined)(
    'on WebGPU computes there what it has kernels for, and the rest on the CPU',
    async () => {
      const child = fileURLToPath(new URL('./children/placement.ts', import.meta.url));
      const tsx = fileURLToPath(import.meta.resolve('tsx'));
      const { stdout } = await execa(process.execPath, ['--import', tsx, child], { env: env! });
      expect(JSON.parse(stdout)).toEqual([{ session: 'both', nodes: 2, onCpu: { NonZero: 1 } }]);
    },
  );
});
