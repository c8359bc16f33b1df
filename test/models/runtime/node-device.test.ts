import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';

import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { float32, type DType, type Tensor } from '../../../models/onnx/dtype.ts';
import type { Device } from '../../../models/runtime/device.ts';
import { openDevice } from '../../../models/runtime/node-device.ts';
import { encodeTinyModel } from '../../../models/runtime/tiny-model.ts';

/** y = x w + b and s = y + y, x [B, 2]. */
const AFFINE = encodeTinyModel({
  nodes: [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['xw'] },
    { op: 'Add', inputs: ['xw', 'b'], outputs: ['y'] },
    { op: 'Add', inputs: ['y', 'y'], outputs: ['s'] },
  ],
  inputs: [{ name: 'x', shape: ['B', 2] }],
  outputs: [
    { name: 'y', shape: ['B', 3] },
    { name: 's', shape: ['B', 3] },
  ],
  weights: [
    { name: 'w', shape: [2, 3], values: [1, 2, 3, 4, 5, 6] },
    { name: 'b', shape: [3], values: [0.5, 0, -0.5] },
  ],
});

const ADD = encodeTinyModel({
  nodes: [{ op: 'Add', inputs: ['a', 'b'], outputs: ['y'] }],
  inputs: [
    { name: 'a', shape: ['B', 2] },
    { name: 'b', shape: ['B', 2] },
  ],
  outputs: [{ name: 'y', shape: ['B', 2] }],
});

function identity(dtype: DType): Uint8Array {
  return encodeTinyModel({
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', shape: ['N'], dtype }],
    outputs: [{ name: 'y', shape: ['N'], dtype }],
  });
}

/** x multiplied by itself `times` times: as long a run as wanted. */
function powers(times: number): Uint8Array {
  const value = (i: number): string => (i === 0 ? 'x' : i === times ? 'y' : `v${i}`);
  return encodeTinyModel({
    nodes: Array.from({ length: times }, (_, i) => ({
      op: 'MatMul',
      inputs: [value(i), 'x'],
      outputs: [value(i + 1)],
    })),
    inputs: [{ name: 'x', shape: ['N', 'N'] }],
    outputs: [{ name: 'y', shape: ['N', 'N'] }],
  });
}

/** The device and the thread below it: Node announces each thread that it starts. */
async function openWithThread(): Promise<{ device: Device; thread: Worker }> {
  const threads: Worker[] = [];
  const listen = (worker: Worker): void => void threads.push(worker);
  process.on('worker', listen);
  const device = await openDevice({ provider: 'cpu', threads: 1 });
  process.off('worker', listen);
  onTestFinished(() => device.close());
  return { device, thread: threads[0]! };
}

let device: Device;
beforeAll(async () => {
  device = await openDevice({ provider: 'cpu', threads: 2 });
});
afterAll(() => device.close());

describe('a session', () => {
  it('gives the numbers of the closed form, for every batch', async () => {
    const session = await device.load(AFFINE, { name: 'affine' });
    expect(session.inputNames).toEqual(['x']);
    expect(session.outputNames).toEqual(['y', 's']);
    const { y, s } = await session.run({ x: float32([1, 0, 0, 1], [2, 2]) });
    expect(y).toEqual({ dtype: 'float32', shape: [2, 3], data: Float32Array.of(1.5, 2, 2.5, 4.5, 5, 5.5) });
    expect([...s!.data]).toEqual([3, 4, 5, 9, 10, 11]);
    await session.release();
  });

  it('leaves the arrays of its caller alone, also views into larger ones', async () => {
    const session = await device.load(AFFINE, { name: 'affine' });
    const large = Float32Array.of(9, 9, 2, 1, 9);
    const { y } = await session.run({ x: { dtype: 'float32', shape: [1, 2], data: large.subarray(2, 4) } });
    expect([...y!.data]).toEqual([6.5, 9, 11.5]);
    expect([...large]).toEqual([9, 9, 2, 1, 9]);
    await session.release();
  });

  it('computes only the outputs that are asked for', async () => {
    const session = await device.load(AFFINE, { name: 'affine' });
    const outputs = await session.run({ x: float32([1, 1], [1, 2]) }, ['s']);
    expect(Object.keys(outputs)).toEqual(['s']);
    await session.release();
  });

  it.each<[DType, Tensor['data']]>([
    ['int64', BigInt64Array.of(-(2n ** 62n), 7n)],
    ['bool', Uint8Array.of(1, 0)],
    ['float16', Uint16Array.of(0x3c00, 0x7bff)],
    ['uint8', Uint8Array.of(255, 1)],
    ['float64', Float64Array.of(Math.PI, -0)],
  ])('carries %s both ways', async (dtype, data) => {
    const session = await device.load(identity(dtype), { name: dtype });
    const { y } = await session.run({ x: { dtype, shape: [2], data } });
    expect(y).toEqual({ dtype, shape: [2], data });
    await session.release();
  });

  it('takes runs that are asked for together, in order', async () => {
    const session = await device.load(AFFINE, { name: 'affine' });
    const runs = await Promise.all([1, 2, 3].map((x) => session.run({ x: float32([x, 0], [1, 2]) }, ['y'])));
    expect(runs.map(({ y }) => y!.data[1])).toEqual([2, 4, 6]);
    await session.release();
  });

  it('is not released under a run, and can be released twice', async () => {
    const session = await device.load(AFFINE, { name: 'affine' });
    const run = session.run({ x: float32([1, 0], [1, 2]) }, ['y']);
    await Promise.all([session.release(), session.release()]);
    expect([...(await run).y!.data]).toEqual([1.5, 2, 2.5]);
    await expect(session.run({ x: float32([1, 0], [1, 2]) })).rejects.toThrow('was released');
  });
});

describe('a wrong feed is one line that names session and input:', () => {
  it.each<[string, Uint8Array, Record<string, Tensor>, string]>([
    ['missing', AFFINE, {}, 'session "s": input "x" is missing'],
    ['unknown', AFFINE, { z: float32([1]) }, 'session "s": has no input "z"; its inputs are x'],
    ['rank', AFFINE, { x: float32([1, 2]) }, 'session "s": input "x" has shape [2], expected [B, 2]'],
    ['size', AFFINE, { x: float32([1, 2, 3], [1, 3]) }, 'session "s": input "x" has shape [1, 3], expected [B, 2]'],
    [
      'dtype',
      AFFINE,
      { x: { dtype: 'int64', shape: [1, 2], data: new BigInt64Array(2) } },
      'session "s": input "x" is int64, expected float32',
    ],
    [
      'length',
      AFFINE,
      { x: { dtype: 'float32', shape: [1, 2], data: new Float32Array(3) } },
      'session "s": input "x" has 3 elements, expected 2 for shape [1, 2]',
    ],
    [
      'two sizes of one symbol',
      ADD,
      { a: float32([1, 2], [1, 2]), b: float32([1, 2, 3, 4], [2, 2]) },
      'session "s": input "b" has shape [2, 2], expected [B=1 as in a, 2]',
    ],
  ])('%s', async (_, model, feeds, message) => {
    const session = await device.load(model, { name: 's' });
    await expect(session.run(feeds)).rejects.toMatchObject({ code: 'InvalidInput', message });
    await session.release();
  });

  it('an unknown output', async () => {
    const session = await device.load(AFFINE, { name: 's' });
    await expect(session.run({ x: float32([1, 2], [1, 2]) }, ['q'])).rejects.toMatchObject({
      code: 'InvalidInput',
      message: 'session "s": has no output "q"; its outputs are y, s',
    });
    await session.release();
  });

  it('a failure inside the graph', async () => {
    const model = encodeTinyModel({
      nodes: [{ op: 'MatMul', inputs: ['a', 'b'], outputs: ['y'] }],
      inputs: [
        { name: 'a', shape: ['M', 'K'] },
        { name: 'b', shape: ['L', 'N'] },
      ],
      outputs: [{ name: 'y', shape: ['M', 'N'] }],
    });
    const session = await device.load(model, { name: 's' });
    const failure = session.run({ a: float32([1, 2], [1, 2]), b: float32([1, 2, 3], [3, 1]) });
    await expect(failure).rejects.toMatchObject({ code: 'InvalidModel' });
    await expect(failure).rejects.toThrow(
      /^session "s" fails to run on cpu: a node \(MatMul\): [^\n]*dimension mismatch$/,
    );
    await session.release();
  });
});

describe('a model', () => {
  it.each([
    ['empty', new Uint8Array(0)],
    ['no protobuf', Uint8Array.of(1, 2, 3, 4)],
    ['cut short', AFFINE.slice(0, 60)],
  ])('that is %s is refused in one line', async (_, bytes) => {
    const loading = device.load(bytes, { name: 'broken' });
    await expect(loading).rejects.toMatchObject({ code: 'InvalidModel' });
    await expect(loading).rejects.toThrow(/^session "broken" does not load on cpu: [^\n]+$/);
  });

  describe('with data in another file', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'referee-runtime-'));
      // Three bytes first, so that the floats lie at an odd offset.
      const floats = new Uint8Array(Float32Array.of(10, 20).buffer);
      await writeFile(join(folder, 'weights.bin'), Uint8Array.of(1, 2, 3, ...floats));
    });
    afterAll(() => rm(folder, { recursive: true }));

    const pointing = (location: string): Uint8Array =>
      encodeTinyModel({
        nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
        inputs: [{ name: 'x', shape: ['B', 2] }],
        outputs: [{ name: 'y', shape: ['B', 2] }],
        weights: [{ name: 'w', shape: [2], external: { location, offset: 3, length: 8 } }],
      });

    it.each([
      ['its folder', (path: string): string => path, (): string => 'weights.bin'],
      ['the root of the file system', (): string => '/', (path: string): string => join(path, 'weights.bin').slice(1)],
    ])('reads them below %s', async (_, root, location) => {
      const session = await device.load(pointing(location(folder)), { name: 'external', weightsRoot: root(folder) });
      const { y } = await session.run({ x: float32([1, 2], [1, 2]) });
      expect([...y!.data]).toEqual([11, 22]);
      await session.release();
    });

    it('is refused without a folder, whatever the working directory', async () => {
      const before = process.cwd();
      onTestFinished(() => process.chdir(before));
      process.chdir(folder);
      for (const location of ['weights.bin', join(folder, 'weights.bin'), `../..${join(folder, 'weights.bin')}`]) {
        await expect(device.load(pointing(location), { name: 'stranger' })).rejects.toMatchObject({
          code: 'InvalidModel',
          message: 'session "stranger" points to data outside itself, which this model may not',
        });
      }
    });

    it('does not leave its folder', async () => {
      const inner = await mkdtemp(join(folder, 'inner-'));
      const loading = device.load(pointing('../weights.bin'), { name: 'climber', weightsRoot: inner });
      await expect(loading).rejects.toMatchObject({ code: 'InvalidModel' });
    });
  });
});

describe('the device', () => {
  it('counts calls and seconds by name of the session', async () => {
    const own = await openDevice({ provider: 'cpu', threads: 1, memory: 'small' });
    onTestFinished(() => own.close());
    const first = await own.load(AFFINE, { name: 'affine' });
    await first.run({ x: float32([1, 2], [1, 2]) });
    await first.release();
    const second = await own.load(AFFINE, { name: 'affine' });
    await second.run({ x: float32([1, 2], [1, 2]) });
    await own.load(ADD, { name: 'add' });
    const { sessions, residentBytes } = await own.stats();
    expect(sessions).toMatchObject({ affine: { calls: 2 }, add: { calls: 0, seconds: 0 } });
    expect(sessions['affine']!.seconds).toBeGreaterThan(0);
    expect(sessions['add']!.loadSeconds).toBeGreaterThan(0);
    expect(residentBytes).toBeGreaterThan(1e7);
  });

  it('leaves the event loop of the main thread free during a run', async () => {
    const session = await device.load(powers(40), { name: 'long' });
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    onTestFinished(() => clearInterval(timer));
    await session.run({ x: { dtype: 'float32', shape: [512, 512], data: new Float32Array(512 * 512) } });
    // A run in this thread lets the loop turn once at most, at its start.
    expect(ticks).toBeGreaterThan(5);
    await session.release();
  });

  it('refuses calls once it is closed, and can be closed twice', async () => {
    const own = await openDevice({ provider: 'cpu', threads: 1 });
    const session = await own.load(AFFINE, { name: 'affine' });
    const running = session.run({ x: float32([1, 0], [1, 2]) }, ['y']);
    await Promise.all([own.close(), own.close()]);
    expect([...(await running).y!.data]).toEqual([1.5, 2, 2.5]);
    const lost = { code: 'DeviceLost', message: 'the device was closed' };
    await expect(session.run({ x: float32([1, 0], [1, 2]) })).rejects.toMatchObject(lost);
    await expect(own.load(AFFINE, { name: 'affine' })).rejects.toMatchObject(lost);
  });

  it('rejects every call once its thread has ended', async () => {
    const { device: own, thread } = await openWithThread();
    const session = await own.load(AFFINE, { name: 'affine' });
    await thread.terminate();
    const lost = { code: 'DeviceLost', message: 'the device thread ended with exit code 1' };
    await expect(session.run({ x: float32([1, 0], [1, 2]) })).rejects.toMatchObject(lost);
    await expect(session.release()).rejects.toMatchObject(lost);
    await expect(own.load(AFFINE, { name: 'affine' })).rejects.toMatchObject(lost);
  });

  it('rejects the calls under way when its thread throws', async () => {
    const { device: own, thread } = await openWithThread();
    const session = await own.load(AFFINE, { name: 'affine' });
    thread.postMessage(null);
    const runs = [1, 2].map((x) => session.run({ x: float32([x, 0], [1, 2]) }));
    for (const outcome of await Promise.allSettled(runs)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'DeviceLost' } });
      expect(String((outcome as PromiseRejectedResult).reason)).toMatch(/the device thread failed: [^\n]+$/);
    }
  });
});

describe('the choice of a provider', () => {
  const opened: Device[] = [];
  afterEach(async () => {
    for (const own of opened.splice(0)) await own.close();
  });

  it('by itself takes one that passes its self-test and says which', async () => {
    const lines: string[] = [];
    const own = await openDevice({ threads: 1, log: (line) => void lines.push(line) });
    opened.push(own);
    expect(lines.at(-1)).toBe(`provider ${own.provider}: chosen, passed its self-test`);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^provider \w+: not used, [^\n]+$/);
  });

  it('refuses one that this build lacks, naming those it has', async () => {
    const other = process.platform === 'win32' ? 'coreml' : 'dml';
    await expect(openDevice({ provider: other })).rejects.toMatchObject({
      code: 'ProviderNotAvailable',
      message: expect.stringMatching(
        new RegExp(`^provider ${other} is not available: not in this build of onnxruntime; .* knows .*cpu`),
      ) as string,
    });
  });

  it('never takes the CPU for a GPU that fails its self-test', async () => {
    const outcome = await openDevice({ provider: 'tensorrt' }).then(
      (own) => {
        opened.push(own);
        return own.provider;
      },
      (error: unknown) => (error as { code: string }).code,
    );
    expect(['tensorrt', 'ProviderNotAvailable']).toContain(outcome);
  });

  it.each([0, 1.5, -1, NaN])('refuses %s threads', async (threads) => {
    await expect(openDevice({ threads })).rejects.toMatchObject({ code: 'InvalidOption' });
  });
});
