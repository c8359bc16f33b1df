/**
 * @file How many operations a second the runtime makes in a large matrix product: what is taken for the machine's peak.
 */
import { GraphBuilder } from '../../models/onnx/builder.ts';
import { float32 } from '../../models/onnx/dtype.ts';
import * as op from '../../models/onnx/ops.ts';
import { writeModel } from '../../models/onnx/protobuf.ts';
import type { Device } from '../../models/runtime/device.ts';

const SIZE = 2048;
const CALLS = 5;

/** FLOP/s of the fastest of some products of 2048 x 2048 matrices. */
export async function productSpeed(device: Device): Promise<number> {
  const b = new GraphBuilder('product');
  const [x, y] = [b.input('x', 'float32', [SIZE, SIZE]), b.input('y', 'float32', [SIZE, SIZE])];
  b.output('product', op.slice(b, op.matMul(b, x, y), { starts: [0], ends: [1], axes: [0] }));
  const session = await device.load(writeModel(b.build()), { name: 'product' });
  const values = float32(
    Float32Array.from({ length: SIZE * SIZE }, (_, at) => (at % 97) / 97),
    [SIZE, SIZE],
  );
  const seconds = async (): Promise<number> => (await device.stats()).sessions['product']?.seconds ?? 0;
  let best = Infinity;
  for (let call = 0; call < CALLS; call += 1) {
    const before = await seconds();
    await session.run({ x: values, y: values });
    best = Math.min(best, (await seconds()) - before);
  }
  await session.release();
  return (2 * SIZE ** 3) / best;
}
