/**
 * @file A child process on WebGPU, where three things are refused, and a small call after each that is not. Prints what was
 * said, one JSON document.
 */
import { isRefereeError } from '../../../../errors.ts';
import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import type { Tensor } from '../../../../models/onnx/dtype.ts';
import { float32, int64 } from '../../../../models/onnx/dtype.ts';
import { int } from '../../../../models/onnx/graph.ts';
import { writeModel } from '../../../../models/onnx/protobuf.ts';
import { openDevice } from '../../../../models/runtime/node-device.ts';

function model(build: (b: GraphBuilder) => void): Uint8Array {
  const b = new GraphBuilder('refused');
  build(b);
  return writeModel(b.build());
}

const precise = model((b) => b.output('y', b.node('Elu', [b.input('x', 'float64', ['N'])])[0]!));
const wide = model((b) => {
  const expanded = b.node('Expand', [b.input('x', 'float32', [1]), b.input('sizes', 'int64', [2])])[0]!;
  b.output('y', b.node('ReduceSum', [expanded], { keepdims: int(0) })[0]!);
});
const device = await openDevice({ provider: 'webgpu', threads: 1 });

async function outcome(bytes: Uint8Array, feeds: Readonly<Record<string, Tensor>>): Promise<unknown> {
  try {
    const session = await device.load(bytes, { name: 's' });
    const { y } = await session.run(feeds);
    await session.release();
    return Number(y!.data[0]);
  } catch (error) {
    if (!isRefereeError(error)) throw error;
    return { code: error.code, message: error.message };
  }
}

const told = [];
for (const sizes of [
  // A buffer beyond the most that a device of this kind has, 1 GB, and one near the most that can be asked for.
  [2 ** 15, 2 ** 14],
  [2 ** 15, 31_000],
]) {
  told.push(await outcome(wide, { x: float32([1]), sizes: int64(sizes) }));
  told.push(await outcome(wide, { x: float32([2]), sizes: int64([2, 3]) }));
}
told.push(await outcome(precise, {}));
await device.close();
process.stdout.write(JSON.stringify(told));
