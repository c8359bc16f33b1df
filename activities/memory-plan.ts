/**
 * @file Chooses how the alignment is computed, from an estimate of memory that is said before the run begins.
 */
import { totalmem } from 'node:os';

import type { MethodOptions } from '../inversion/options.ts';
import { LARGEST_WINDOW, windowFor } from '../models/nn/warp-window.ts';
import type { AlignmentOptions } from '../models/packs/graphs.ts';
import { estimateMemory, UNKNOWN } from '../models/packs/memory.ts';
import { PackGraphs, type GraphRequest } from '../models/packs/pack-graphs.ts';
import { openParts } from '../models/packs/parts.ts';
import type { Pack } from '../models/packs/resolve.ts';
import { gpuOf } from '../models/runtime/gpu.ts';
import type { Devices } from './devices.ts';
import { COMMON_WINDOWS } from './lane-adjoints.ts';
import { kernelsOn, placesOn, type AdjointChoice, type Plan } from './pack-models.ts';

/**
 * Share of all memory, the machine's or the GPU's, that a plan may take. Not of what is free now: plans agree to rounding only, and a search
 * that goes on tomorrow must end with the bytes that it would have had today.
 */
const SHARE_OF_MEMORY = 0.6;
/**
 * What a process takes beside the tensors of its graphs, measured by `bench/memory.ts`: Node, the graphs while they are
 * built, onnxruntime. An arena leaves gaps, and operators have work space: more is taken than what is alive at one time.
 */
const PROCESS_BYTES = 260e6;
/** Of each device besides: a thread with an isolate of its own, in which sessions are built. */
const DEVICE_BYTES = 80e6;
const ARENA_GROWTH = 1.6;

export interface ChosenPlan {
  readonly plan: Plan;
  readonly adjoint: AdjointChoice;
  /** Estimated peak of the whole process. */
  readonly bytes: number;
  /** What was built for the estimate, to be loaded. */
  readonly graphs: PackGraphs;
}

export interface PlanRequest {
  readonly lanes: number;
  /** What will be searched. */
  readonly items: readonly { readonly options: MethodOptions }[];
  /** Whether items with other options may follow. */
  readonly isOpen?: boolean;
}

/** `fused` where it fits into the memory that tensors lie in, else `split` with one cutout at a time. */
export async function choosePlan(
  pack: Pack,
  { all, provider }: Pick<Devices, 'all' | 'provider'>,
  { lanes, items, isOpen = false }: PlanRequest,
): Promise<ChosenPlan> {
  const graphs = new PackGraphs(await openParts(pack), kernelsOn(provider));
  const searches = items.map(({ options }) => options).filter(({ method }) => method === 'search');
  const cutouts = Math.max(1, ...searches.map((search) => search.cutouts));
  const adjoint =
    provider === 'cpu' ? 'by-lane' : { gather: gatherWindows(isOpen ? [] : searches, graphs.parts.referee.imageSize) };
  const warps = { adjoint: adjoint === 'by-lane' ? { gather: COMMON_WINDOWS } : adjoint, places: placesOn(provider) };
  const perDevice = Math.ceil(lanes / all.length);
  const total = (plan: Plan): number => {
    const bytes = planBytes(graphs, { plan, cutouts, warps, lanes: perDevice, hasSearch: searches.length > 0 });
    return PROCESS_BYTES + all.length * (DEVICE_BYTES + bytes);
  };
  const fused = total({ kind: 'fused' });
  // Where a driver does not tell, as of a GPU that shares the machine's memory, it is the machine's.
  const memory = gpuOf(provider)?.memoryBytes ?? totalmem();
  if (fused <= SHARE_OF_MEMORY * memory) return { plan: { kind: 'fused' }, adjoint, bytes: fused, graphs };
  graphs.forget('alignment');
  const split: Plan = { kind: 'split', cutouts: 1 };
  return { plan: split, adjoint, bytes: total(split), graphs };
}

interface Sizes {
  readonly plan: Plan;
  readonly cutouts: number;
  readonly warps: Pick<AlignmentOptions, 'adjoint' | 'places'>;
  /** Of one device. */
  readonly lanes: number;
  readonly hasSearch: boolean;
}

/** Weights of every graph that a device loads, and the arenas of their sessions. */
function planBytes(graphs: PackGraphs, { plan, cutouts, warps, lanes, hasSearch }: Sizes): number {
  const options = (n: number): AlignmentOptions => ({ cutouts: n, hasContrast: false, ...warps });
  const alignment: readonly GraphRequest[] =
    plan.kind === 'fused'
      ? [{ kind: 'alignment', options: options(cutouts) }]
      : [{ kind: 'referees', options: options(plan.cutouts) }, { kind: 'decode-vjp' }];
  const all: readonly GraphRequest[] = [
    { kind: 'guidance' },
    { kind: 'decode' },
    { kind: 'score' },
    ...(hasSearch ? alignment : []),
  ];
  const sizes = { B: lanes, [UNKNOWN]: lanes * (plan.kind === 'fused' ? cutouts : plan.cutouts) };
  const estimates = all.map((request) => estimateMemory(graphs.look(request), sizes));
  const weights = estimates.reduce((sum, estimate) => sum + estimate.weights, 0);
  return weights + ARENA_GROWTH * estimates.reduce((sum, { activations }) => sum + activations, 0);
}

/** Windows that hold for every search of the run; the largest where none is known. */
function gatherWindows(searches: readonly MethodOptions[], size: number): { affine: number; perspective: number } {
  if (searches.length === 0) return { affine: LARGEST_WINDOW, perspective: LARGEST_WINDOW };
  const largest = (of: (options: MethodOptions) => number): number => Math.max(...searches.map(of));
  return windowFor(
    { maxDegrees: largest((o) => o.affineDegrees), maxDistortion: largest((o) => o.perspectiveDistortion) },
    size,
  );
}
