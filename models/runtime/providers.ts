/**
 * @file Choice of an execution provider. A provider counts as available when a small model, run on it alone, gives the
 * numbers of its closed form: that a library was found says nothing about a driver.
 */
import { InferenceSession, Tensor, listSupportedBackends } from 'onnxruntime-node';

import { RefereeError } from '../../errors.ts';
import type { ProviderName } from './device.ts';
import { oneLine } from './one-line.ts';
import type { DeviceSettings } from './protocol.ts';
import { isOutOfMemory } from './session-errors.ts';
import { sessionOptions } from './session-settings.ts';
import { encodeTinyModel } from './tiny-model.ts';

/**
 * What `auto` tries, best first. TensorRT is left to those who ask for it by name: it compiles every graph for minutes.
 */
const AUTO_ORDER: readonly ProviderName[] = ['cuda', 'dml', 'coreml', 'webgpu', 'cpu'];

/** Float16 accumulation on a GPU would still be within this; a wrong kernel would not. */
const SELF_TEST_TOLERANCE = 1e-2;

export interface Choice {
  readonly provider: ProviderName;
  /** A line for each provider that was looked at. */
  readonly notes: readonly string[];
}

/**
 * The provider to use: the one asked for, or the best that works.
 *
 * @throws RefereeError `ProviderNotAvailable`, naming what is there, when the one asked for is missing or fails;
 *   `OutOfMemory` when it has no memory for its self-test, which waiting may mend
 */
export async function chooseProvider({ provider, threads, memory }: DeviceSettings): Promise<Choice> {
  const built = builtProviders();
  if (provider !== 'auto') {
    const problem = await selfTest(provider, built, { threads, memory });
    if (problem !== undefined) throw notAvailable(provider, problem, built);
    return { provider, notes: [`provider ${provider}: passed its self-test`] };
  }
  const notes: string[] = [];
  for (const candidate of AUTO_ORDER.filter((name) => built.includes(name))) {
    const problem = await selfTest(candidate, built, { threads, memory });
    if (problem === undefined) {
      return { provider: candidate, notes: [...notes, `provider ${candidate}: chosen, passed its self-test`] };
    }
    notes.push(`provider ${candidate}: not used, ${problem}`);
  }
  throw new RefereeError('ProviderNotAvailable', `no provider works: ${notes.join('; ')}`);
}

/** Providers that this build of onnxruntime knows. */
function builtProviders(): readonly string[] {
  return listSupportedBackends().map((backend) => backend.name);
}

/** One line about what is wrong with a provider, or undefined if nothing is. */
async function selfTest(
  provider: ProviderName,
  built: readonly string[],
  settings: Pick<DeviceSettings, 'threads' | 'memory'>,
): Promise<string | undefined> {
  if (!built.includes(provider)) return 'not in this build of onnxruntime';
  if (provider === 'webgpu' && process.platform === 'linux' && !isLibraryFound('libvulkan.so.1')) {
    return 'no Vulkan library (libvulkan.so.1) was found';
  }
  try {
    return await runSelfTest(provider, settings);
  } catch (error) {
    return oneLine(error);
  }
}

/** y = relu(x w + b), of which every number is known: x [2, 3], w [3, 2]. */
async function runSelfTest(
  provider: ProviderName,
  settings: Pick<DeviceSettings, 'threads' | 'memory'>,
): Promise<string | undefined> {
  const model = encodeTinyModel({
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['xw'] },
      { op: 'Add', inputs: ['xw', 'b'], outputs: ['xwb'] },
      { op: 'Relu', inputs: ['xwb'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', shape: ['B', 3] }],
    outputs: [{ name: 'y', shape: ['B', 2] }],
    weights: [
      { name: 'w', shape: [3, 2], values: [1, -1, 0.5, 2, -2, 1] },
      { name: 'b', shape: [2], values: [0.25, -3] },
    ],
  });
  // Strict, or the CPU would quietly pass the test for a GPU.
  const options = sessionOptions({ ...settings, provider, isStrict: provider !== 'cpu' });
  const session = await InferenceSession.create(model, options);
  try {
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2, 3, 4, 5, -6), [2, 3]) });
    // Row 1: 1 + 1 - 6 + .25 < 0; -1 + 4 + 3 - 3 = 3. Row 2: 4 + 2.5 + 12 + .25 = 18.75; -4 + 10 - 6 - 3 < 0.
    const expected = [0, 3, 18.75, 0];
    const found = [...(y?.data as Float32Array)];
    const isRight = expected.every((value, i) => Math.abs((found[i] ?? NaN) - value) <= SELF_TEST_TOLERANCE);
    return isRight ? undefined : `its self-test gave ${found.join(', ')}, expected ${expected.join(', ')}`;
  } finally {
    await session.release();
  }
}

/**
 * Whether the dynamic linker finds a library. Dawn prints a warning when it does not, which `auto` would show to everyone
 * without a GPU. A library that is no Node addon is loaded and then refused, with another message than a missing one.
 */
function isLibraryFound(name: string): boolean {
  try {
    process.dlopen({ exports: {} }, name);
    return true;
  } catch (error) {
    return !String(error).includes('cannot open shared object file');
  }
}

/** The error for what was found wrong with the provider that was asked for. */
export function notAvailable(provider: ProviderName, problem: string, built: readonly string[]): RefereeError {
  if (isOutOfMemory(problem)) {
    const message = `provider ${provider} does not start: ${problem}`;
    return new RefereeError('OutOfMemory', message, { details: { provider } });
  }
  const known = built.join(', ');
  const message = `provider ${provider} is not available: ${problem}; this build of onnxruntime knows ${known}`;
  return new RefereeError('ProviderNotAvailable', message, { details: { provider } });
}
