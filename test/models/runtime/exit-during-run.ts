/** @file Ends its process with code 3 in the middle of a run of about a second. Prints whether it was in the middle. */
import { openDevice } from '../../../models/runtime/node-device.ts';
import { encodeTinyModel } from '../../../models/runtime/tiny-model.ts';

const PRODUCTS = 60;
const SIZE = 1024;

const value = (i: number): string => (i === 0 ? 'x' : i === PRODUCTS ? 'y' : `v${i}`);
const model = encodeTinyModel({
  nodes: Array.from({ length: PRODUCTS }, (_, i) => ({
    op: 'MatMul',
    inputs: [value(i), 'x'],
    outputs: [value(i + 1)],
  })),
  inputs: [{ name: 'x', shape: ['N', 'N'] }],
  outputs: [{ name: 'y', shape: ['N', 'N'] }],
});
const device = await openDevice({ provider: 'cpu', threads: 1 });
const session = await device.load(model, { name: 'long' });
let isDone = false;
void session
  .run({ x: { dtype: 'float32', shape: [SIZE, SIZE], data: new Float32Array(SIZE * SIZE) } })
  .finally(() => (isDone = true));
setTimeout(() => {
  process.stdout.write(isDone ? 'done' : 'running');
  process.exit(3);
}, 50);
