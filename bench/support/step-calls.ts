/**
 * @file The two calls of a real search step (guidance, alignment with its gradient): their graphs, and what a step feeds
 * them.
 */
import { Engine } from '../../activities/engine.ts';
import { COMMON_WINDOWS } from '../../activities/lane-adjoints.ts';
import { kernelsOn, placesOn } from '../../activities/pack-models.ts';
import { packDefaults } from '../../activities/specs.ts';
import { step } from '../../inversion/step.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import type { Graph } from '../../models/onnx/graph.ts';
import { writeModel } from '../../models/onnx/protobuf.ts';
import * as graphs from '../../models/packs/graphs.ts';
import { openParts } from '../../models/packs/parts.ts';
import type { Pack } from '../../models/packs/resolve.ts';
import type { ProviderName } from '../../models/runtime/device.ts';
import { openDevice } from '../../models/runtime/node-device.ts';
import { recordingDevice } from './recording-device.ts';
import { stepLanes } from './step-lanes.ts';

export const CALLS = ['guidance', 'alignment'] as const;
export type Call = (typeof CALLS)[number];
export type Feeds = Readonly<Record<string, Tensor>>;

export interface StepCall {
  readonly graph: Graph;
  /** The graph as a file; its weights lie where the pack's are. */
  readonly model: Uint8Array;
}

/** Both graphs as a search on a provider has them. */
export async function stepCalls(pack: Pack, provider: ProviderName = 'cpu'): Promise<Readonly<Record<Call, StepCall>>> {
  const parts = await openParts(pack);
  const { cutouts } = packDefaults(pack);
  const [kernels, places] = [kernelsOn(provider), placesOn(provider)];
  const options = { cutouts, hasContrast: false, places, adjoint: { gather: COMMON_WINDOWS }, kernels } as const;
  const written = (graph: Graph): StepCall => ({ graph, model: writeModel(graph) });
  return {
    guidance: written(graphs.guidanceGraph(parts, kernels)),
    alignment: written(graphs.alignmentGraph(parts, options)),
  };
}

export interface RecordedStep {
  readonly feeds: Readonly<Record<Call, Feeds>>;
  /** From nothing to the end of the first step, seconds. */
  readonly seconds: number;
}

export interface RecordOptions {
  readonly lanes: number;
  /** Of the first lane; 0 by default. */
  readonly seed?: number;
  readonly provider?: ProviderName;
}

/** Makes the first step of some lanes, on a device that is closed afterwards. */
export async function recordStep(
  pack: Pack,
  { lanes, seed = 0, provider = 'cpu' }: RecordOptions,
): Promise<RecordedStep> {
  const begun = performance.now();
  const device = await openDevice({ provider, threads: 1, memory: 'fast' });
  try {
    const recording = recordingDevice(device);
    const engine = await Engine.open(pack, [recording], { adjoint: { gather: COMMON_WINDOWS } });
    await step(await stepLanes(engine, lanes, seed), engine.models);
    const seconds = (performance.now() - begun) / 1000;
    const fed = (call: Call): Feeds => {
      const found = [...recording.feeds].find(([name]) => name.startsWith(call));
      if (!found) throw new Error(`a step made no call of ${call}`);
      return found[1];
    };
    return { feeds: { guidance: fed('guidance'), alignment: sameOrder(fed('alignment')) }, seconds };
  } finally {
    await device.close();
  }
}

/** All lanes jitter in the order of the first: PyTorch would need a loop over lanes otherwise. */
function sameOrder(feeds: Feeds): Feeds {
  const order = feeds['cutouts.jitterOrder']!;
  const data = (order.data as Int32Array).map((_, at) => Number(order.data[at % 4]));
  return { ...feeds, 'cutouts.jitterOrder': { ...order, data } };
}
