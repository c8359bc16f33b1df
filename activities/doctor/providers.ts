/**
 * @file What can compute here: every provider that belongs to this system is opened, tested, and timed with a search step
 * of the pack. For GPUs it is counted which nodes of the search's graphs are left to the CPU.
 */
import { existsSync } from 'node:fs';

import { isRefereeError } from '../../errors.ts';
import type { Device, ProviderName } from '../../models/runtime/device.ts';
import { gpuOf } from '../../models/runtime/gpu.ts';
import { openProfiledDevice } from '../../models/runtime/node-device.ts';
import type { NodePlacement } from '../../models/runtime/placement.ts';
import type { Pack } from '../../models/packs/resolve.ts';
import type { BenchmarkKey } from '../benchmarks.ts';
import { deviceClassOf, openDevices } from '../devices.ts';
import { Engine } from '../engine.ts';
import { choosePlan } from '../memory-plan.ts';
import { selfTest } from '../self-test.ts';
import { packDefaults } from '../specs.ts';
import type { Finding } from './finding.ts';
import { failedFinding, secondsText } from './finding.ts';
import type { Need } from './machine.ts';
import { measureSearch } from './measure.ts';

export interface ProvidersRequest {
  readonly provider: ProviderName | 'auto';
  readonly threads?: number | undefined;
  /** Of the memory's estimate. */
  readonly lanes: number;
  /** Undefined where it cannot be used: providers are then tested by themselves. */
  readonly pack: Pack | undefined;
  readonly signal: AbortSignal;
  readonly onFinding: (finding: Finding) => void;
}

/** Of the best provider that works with the pack. */
export interface ProvidersAnswer {
  readonly need?: Need;
  readonly key?: BenchmarkKey;
}

const REPEATS = 3;
const SECONDS = 10;

/** Best first, as `auto` tries them; TensorRT compiles every graph for minutes and is left to those who name it. */
const OF_PLATFORM: Readonly<Partial<Record<NodeJS.Platform, readonly ProviderName[]>>> = {
  linux: ['cuda', 'webgpu', 'cpu'],
  win32: ['cuda', 'dml', 'webgpu', 'cpu'],
  darwin: ['coreml', 'webgpu', 'cpu'],
};

/** @throws `signal.reason` when aborted */
export async function checkProviders(request: ProvidersRequest): Promise<ProvidersAnswer> {
  const { provider, signal, onFinding } = request;
  const isNamed = provider !== 'auto';
  const names = isNamed ? [provider] : (OF_PLATFORM[process.platform] ?? ['cpu']);
  let answer: ProvidersAnswer = {};
  for (const name of names) {
    signal.throwIfAborted();
    const { finding, ...checked } = await checkProvider(name, isNamed, request);
    onFinding(finding);
    if (answer.need === undefined) answer = checked;
  }
  return answer;
}

interface Checked extends ProvidersAnswer {
  readonly finding: Finding;
}

async function checkProvider(provider: ProviderName, isNamed: boolean, request: ProvidersRequest): Promise<Checked> {
  const name = `provider ${provider}`;
  try {
    await using opened = await open(provider, request.threads);
    if (!request.pack) return { finding: { name, state: 'ok', found: 'passed its self-test', facts: { provider } } };
    return await checkOpened(opened, request.pack, request);
  } catch (error) {
    if (request.signal.aborted) throw error;
    if (!isRefereeError(error)) throw error;
    const isMissing = error.code === 'ProviderNotAvailable';
    const fix = isMissing
      ? fixOf(provider)
      : (error.hint ?? 'see docs/how-to/gpus.md, or choose another one with --provider');
    const isMeant = isNamed || provider === 'cpu' || !isMissing;
    const state = isMeant ? 'error' : hasHardware(provider) ? 'warning' : 'ok';
    const finding = failedFinding(name, error, { state, fix });
    const absent = isMissing && state === 'ok' ? ', nor was a device for it found' : '';
    const found = finding.found.replace(/^provider \w+ is /, '').replace(/; this build of onnxruntime knows .*$/, '');
    return { finding: { ...finding, found: `${found}${absent}`, facts: { provider } } };
  }
}

interface Opened extends AsyncDisposable {
  readonly provider: ProviderName;
  readonly all: readonly Device[];
  /** Of a GPU. */
  readonly placement?: () => Promise<readonly NodePlacement[]>;
}

async function open(provider: ProviderName, threads: number | undefined): Promise<Opened> {
  if (provider === 'cpu') return openDevices({ provider, ...(threads !== undefined && { threads }) });
  const device = await openProfiledDevice({ provider, threads: 1, memory: 'fast' });
  return {
    provider,
    all: [device],
    placement: () => device.placement(),
    [Symbol.asyncDispose]: () => device.close(),
  };
}

async function checkOpened(opened: Opened, pack: Pack, { lanes, signal }: ProvidersRequest): Promise<Checked> {
  const { provider, all } = opened;
  const begun = performance.now();
  const chosen = await choosePlan(pack, opened, { lanes, items: [{ options: packDefaults(pack) }] });
  const { plan, bytes } = chosen;
  const engine = await Engine.open(pack, all, chosen);
  await selfTest(engine);
  const startSeconds = (performance.now() - begun) / 1000;
  const placements = await opened.placement?.();
  const stepSeconds = await measureSearch(engine, { repeats: REPEATS, seconds: SECONDS, signal });
  const threads = all.length === 1 ? '1 thread' : `${all.length} threads`;
  const speed = `${secondsText(stepSeconds)} a step of one search, ${secondsText(startSeconds)} to start`;
  const left = placements && countLeft(placements);
  const found = [
    'passed its self-test with the pack',
    provider === 'cpu' ? threads : undefined,
    speed,
    left && leftText(left),
  ];
  const facts = {
    provider,
    threads: all.length,
    plan: plan.kind,
    stepSeconds,
    startSeconds,
    ...(left && { nodes: left }),
  };
  const finding: Finding = {
    name: `provider ${provider}`,
    state: 'ok',
    found: found.filter((part) => part !== undefined).join(', '),
    facts,
  };
  const gpuBytes = gpuOf(provider)?.memoryBytes;
  return {
    finding,
    need: {
      bytes,
      text: `a run with ${lanes} lanes on ${provider}, ${threads}, plan ${plan.kind},`,
      ...(gpuBytes !== undefined && { gpuBytes }),
    },
    key: {
      pack: { name: pack.manifest.name, digest: pack.digest },
      provider,
      threads: all.length,
      deviceClass: deviceClassOf(provider),
      plan: plan.kind,
    },
  };
}

interface NodesLeft {
  readonly nodes: number;
  readonly onCpu: number;
  readonly operators: Readonly<Record<string, number>>;
  readonly sessions: readonly NodePlacement[];
}

function countLeft(sessions: readonly NodePlacement[]): NodesLeft {
  const operators: Record<string, number> = {};
  for (const { onCpu } of sessions) {
    for (const [operator, count] of Object.entries(onCpu)) operators[operator] = (operators[operator] ?? 0) + count;
  }
  const nodes = sessions.reduce((sum, session) => sum + session.nodes, 0);
  return { nodes, onCpu: Object.values(operators).reduce((sum, count) => sum + count, 0), operators, sessions };
}

/** 12 of 3456 nodes fall back to the CPU: Concat x 8, Shape x 4 */
function leftText({ nodes, onCpu, operators }: NodesLeft): string {
  if (onCpu === 0) return `all ${nodes} nodes run there`;
  const counted = Object.entries(operators).sort(([, a], [, b]) => b - a);
  return `${onCpu} of ${nodes} nodes fall back to the CPU: ${counted.map(([name, count]) => `${name} x ${count}`).join(', ')}`;
}

/** Whether something that the provider is for seems to be in this machine. */
function hasHardware(provider: ProviderName): boolean {
  switch (provider) {
    case 'cuda':
    case 'tensorrt':
      return ['/dev/nvidia0', '/proc/driver/nvidia/version', '/dev/dxg'].some((file) => existsSync(file));
    case 'webgpu':
      return process.platform !== 'linux' || existsSync('/dev/dri');
    case 'dml':
    case 'coreml':
    case 'cpu':
      return true;
  }
}

function fixOf(provider: ProviderName): string {
  const page = 'docs/how-to/gpus.md';
  switch (provider) {
    case 'cuda':
    case 'tensorrt':
      return `with an NVIDIA GPU: remove onnxruntime-node-install=skip from .npmrc and run npm rebuild onnxruntime-node (${page})`;
    case 'webgpu':
      return process.platform === 'linux'
        ? `with a GPU: apt-get install libvulkan1 mesa-vulkan-drivers, or the driver of its maker (${page})`
        : `install the driver of the GPU's maker (${page})`;
    case 'dml':
      return `needs Windows and a GPU driver with DirectX 12 (${page})`;
    case 'coreml':
      return `needs macOS (${page})`;
    case 'cpu':
      return 'run npm ci again: onnxruntime is not whole';
  }
}
