import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, test } from 'vitest';

import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import { writeModel } from '../../../models/onnx/protobuf.ts';
import type { Device } from '../../../models/runtime/device.ts';
import { openDevice } from '../../../models/runtime/node-device.ts';
import { encodeTinyModel } from '../../../models/runtime/tiny-model.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { softwareVulkan } from '../../support/software-vulkan.ts';

let device: Device;
beforeAll(async () => {
  device = await openDevice({ provider: 'cpu', threads: 1 });
});
afterAll(() => device.close());

/** 2^24 x 2^24 float32 are 2^50 bytes: more than any processor can address, so that nobody lends them. */
const SIDE = 2 ** 24;
const VAST = int64([SIDE, SIDE]);

function graph(build: (b: GraphBuilder) => void): Graph {
  const b = new GraphBuilder('refused');
  build(b);
  return b.build();
}

/** x [1] to the sizes that are asked for. */
const EXPAND = writeModel(
  graph((b) => {
    const sizes = b.input('sizes', 'int64', [2]);
    b.output(
      'y',
      b.scope('wide', () => b.node('Expand', [b.input('x', 'float32', [1]), sizes])[0]!),
    );
  }),
);

const run = async (own: Device, model: Uint8Array, feeds: Record<string, Tensor>) => {
  const session = await own.load(model, { name: 's' });
  return session.run(feeds).finally(() => session.release());
};

describe('no memory', () => {
  it.each(['fast', 'small'] as const)(
    'in the middle of a run (memory: %s), and the session goes on',
    async (memory) => {
      const own = await openDevice({ provider: 'cpu', threads: 1, memory });
      onTestFinished(() => own.close());
      const session = await own.load(EXPAND, { name: 'wide' });
      const refused = session.run({ x: float32([7]), sizes: VAST });
      const asked = memory === 'fast' ? ', 1125899907 MB more were asked for' : '';
      await expect(refused).rejects.toMatchObject({
        code: 'OutOfMemory',
        exit: 75,
        message: `session "wide" fails to run on cpu: out of memory at node "/wide/Expand" (Expand)${asked}`,
        details: { session: 'wide', provider: 'cpu', during: 'run', node: '/wide/Expand', operator: 'Expand' },
      });
      const { y } = await session.run({ x: float32([7]), sizes: int64([2, 1]) });
      expect(y?.data).toEqual(Float32Array.of(7, 7));
    },
  );
});

describe('no memory for a session', () => {
  it('that is loaded, and the device goes on', async () => {
    // A file that holds nothing: 4 TB of it are packed for the product.
    const [folder, side] = [await temporaryFolder(), 2 ** 20];
    const length = 4 * side * side;
    await writeFile(join(folder, 'weights.bin'), '');
    await truncate(join(folder, 'weights.bin'), length);
    const model = encodeTinyModel({
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: [{ name: 'x', shape: ['B', side] }],
      outputs: [{ name: 'y', shape: ['B', side] }],
      weights: [{ name: 'w', shape: [side, side], external: { location: 'weights.bin', offset: 0, length } }],
    });
    await expect(device.load(model, { name: 'vast', weightsRoot: folder })).rejects.toMatchObject({
      code: 'OutOfMemory',
      message: 'session "vast" does not load on cpu: out of memory',
      details: { session: 'vast', during: 'load' },
    });
    expect((await run(device, EXPAND, { x: float32([1]), sizes: int64([1, 1]) }))['y']?.data).toHaveLength(1);
  });
});

describe('a node that is refused', () => {
  it('has no kernel for its type: named with operator and provider', async () => {
    const model = writeModel(
      graph((b) => {
        b.output(
          'y',
          b.scope('precise', () => b.node('Elu', [b.input('x', 'float64', ['N'])])[0]!),
        );
      }),
    );
    await expect(device.load(model, { name: 's' })).rejects.toMatchObject({
      code: 'UnsupportedOperator',
      exit: 2,
      isRetryable: false,
      message: 'session "s" does not load on cpu: node "/precise/Elu" (Elu): cpu has no kernel for it with its types',
      details: { session: 's', provider: 'cpu', during: 'load', node: '/precise/Elu', operator: 'Elu' },
    });
  });

  it.each([
    ['no such operator', '', 'node "/own/Elu" (Frobnicate)'],
    // The runtime does not tell the name of the node then.
    ['one of a domain that nobody has', 'com.acme', 'a node (com.acme.Frobnicate)'],
  ])('%s', async (_, domain, node) => {
    const plain = graph((b) => {
      b.output(
        'y',
        b.scope('own', () => b.node('Elu', [b.input('x', 'float32', ['N'])])[0]!),
      );
    });
    const model = writeModel({ ...plain, nodes: plain.nodes.map((node) => ({ ...node, op: 'Frobnicate', domain })) });
    await expect(device.load(model, { name: 's' })).rejects.toMatchObject({
      code: 'UnsupportedOperator',
      message: `session "s" does not load on cpu: ${node}: onnxruntime knows no such operator`,
    });
  });

  it('fails at run time: named with operator and provider, and what to do', async () => {
    const model = writeModel(
      graph((b) => {
        const [x, at] = [b.input('x', 'float32', ['N']), b.input('at', 'int64', ['K'])];
        b.output(
          'y',
          b.scope('pick', () => b.node('Gather', [x, at])[0]!),
        );
      }),
    );
    await expect(run(device, model, { x: float32([1, 2, 3]), at: int64([5]) })).rejects.toMatchObject({
      code: 'InvalidModel',
      message:
        'session "s" fails to run on cpu: node "/pick/Gather" (Gather): indices element out of data bounds, idx=5 must be within the inclusive range [-3,2]',
      hint: 'the same call fails every time: check the model, and what it is given',
    });
  });
});

const env = softwareVulkan();
test.skipIf(env === undefined)('on WebGPU: no memory, no kernel anywhere, and the device goes on', async () => {
  const child = fileURLToPath(new URL('./children/refusals.ts', import.meta.url));
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const { stdout } = await execa(process.execPath, ['--import', tsx, child], { env: env! });
  const outOfMemory = { code: 'OutOfMemory', message: 'session "s" fails to run on webgpu: out of memory' };
  expect(JSON.parse(stdout)).toEqual([
    outOfMemory,
    12,
    outOfMemory,
    12,
    {
      code: 'UnsupportedOperator',
      message:
        'session "s" does not load on webgpu: node "Elu" (Elu): webgpu has no kernel for it with its types, nor has the CPU',
    },
  ]);
});
