/**
 * @file A child process that runs two nodes on WebGPU, of which it has a kernel for one, and prints where they ran.
 */
import { openProfiledDevice } from '../../../../models/runtime/node-device.ts';
import { encodeTinyModel } from '../../../../models/runtime/tiny-model.ts';

const model = encodeTinyModel({
  nodes: [
    { op: 'MatMul', inputs: ['x', 'x'], outputs: ['xx'] },
    { op: 'NonZero', inputs: ['xx'], outputs: ['places'] },
  ],
  inputs: [{ name: 'x', shape: [2, 2] }],
  outputs: [{ name: 'places', shape: [2, 'N'], dtype: 'int64' }],
});
const device = await openProfiledDevice({ provider: 'webgpu', threads: 1 });
const session = await device.load(model, { name: 'both' });
await session.run({ x: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } });
process.stdout.write(JSON.stringify(await device.placement()));
await device.close();
