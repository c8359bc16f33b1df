/**
 * @file Chooses how the alignment is computed, from an estimate of memory that is said before the run begins.
 */
import { freemem } from 'node:os';

import type { MethodOptions } from '../inversion/options.ts';
import { LARGEST_WINDOW, windowFor } from '../models/nn/warp-window.ts';
import type { Graph } from '../models/onnx/graph.ts';
import type { AlignmentOptions } from '../models/packs/graphs.ts';
import * as graphs from '../models/packs/graphs.ts';
import { estimateMemory } from '../models/packs/memory.ts';
import type { PackParts } from '../models/packs/parts.ts';
import { openParts } from '../models/packs/parts.ts';
import type { Pack } from '../models/packs/resolve.ts';
import type { Devices } from './devices.ts';
import { COMMON_WINDOWS } from './lane-adjoints.ts';
import { placesOn, type AdjointChoice, type Plan } from './pack-models.ts';

/** Share of the free memory that a plan may take. */
const SHARE_OF_FREE = 0.7;
/** Before anything is loaded: Node, onnxruntime and its code, per process. */
const PROCESS_BYTES = 150e6;

export interface ChosenPlan {
  readonly plan: Plan;
  readonly adjoint: AdjointChoice;
  /** Estimated peak of the whole process. */
  readonly bytes: number;
}

export interface PlanRequest {
  readonly lanes: number;
  /** What will be searched. */
  readonly items: readonly { readonly options: MethodOptions }[];
  /** Whether items with other options may follow. */
  readonly isOpen?: boolean;
}

/** `fused` where it fits into the free memory, else `split` with one cutout at a time. */
export async function choosePlan(
  pack: Pack,
  { all, provider }: Pick<Devices, 'all' | 'provider'>,
  { lanes, items, isOpen = false }: PlanRequest,
): Promise<ChosenPlan> {
  const parts = await openParts(pack);
  const searches = items.map(({ options }) => options).filter(({ method }) => method === 'search');
  const cutouts = Math.max(1, ...searches.map((search) => search.cutouts));
  const adjoint =
    provider === 'cpu' ? 'by-lane' : { gather: gatherWindows(isOpen ? [] : searches, parts.referee.imageSize) };
  const warps = { adjoint: adjoint === 'by-lane' ? { gather: COMMON_WINDOWS } : adjoint, places: placesOn(provider) };
  const perDevice = Math.ceil(lanes / all.length);
  const total = (plan: Plan): number => {
    const bytes = planBytes(parts, { plan, cutouts, warps, lanes: perDevice, hasSearch: searches.length > 0 });
    return PROCESS_BYTES + all.length * bytes;
  };
  const fused = total({ kind: 'fused' });
  if (fused <= SHARE_OF_FREE * freemem()) return { plan: { kind: 'fused' }, adjoint, bytes: fused };
  const split: Plan = { kind: 'split', cutouts: 1 };
  return { plan: split, adjoint, bytes: total(split) };
}

interface Sizes {
  readonly plan: Plan;
  readonly cutouts: number;
  readonly warps: Pick<AlignmentOptions, 'adjoint' | 'places'>;
  /** Of one device. */
  readonly lanes: number;
  readonly hasSearch: boolean;
}

/** Weights of every graph that a device loads, and the largest working set: graphs run one after the other. */
function planBytes(parts: PackParts, { plan, cutouts, warps, lanes, hasSearch }: Sizes): number {
  const options = (n: number): AlignmentOptions => ({ cutouts: n, hasContrast: false, ...warps });
  const alignment: Graph[] =
    plan.kind === 'fused'
      ? [graphs.alignmentGraph(parts, options(cutouts))]
      : [graphs.refereesGraph(parts, options(plan.cutouts)), graphs.decodeVjpGraph(parts)];
  const all = [
    graphs.guidanceGraph(parts),
    graphs.decodeGraph(parts),
    graphs.scoreGraph(parts),
    ...(hasSearch ? alignment : []),
  ];
  const estimates = all.map((graph) => estimateMemory(graph, { B: lanes }));
  const weights = estimates.reduce((sum, estimate) => sum + estimate.weights, 0);
  // An arena keeps what its session once took.
  return weights + estimates.reduce((sum, { activations }) => sum + activations, 0);
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
