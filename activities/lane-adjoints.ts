/**
 * @file Which form of the warps' adjoint a lane gets on providers that have both: gathering where small windows hold all
 * weights of its matrices, scattering elsewhere. It is chosen by the lane's own matrices alone, so that its bytes do not
 * depend on the lanes beside it; lanes of one call that choose differently become two calls.
 */
import type { CutoutParameters } from '../inversion/augment.ts';
import type { AlignmentInput, AlignmentOutput } from '../inversion/models.ts';
import { holdsWeights, type WarpWindows } from '../models/nn/warp-window.ts';
import type { AlignmentOptions } from '../models/packs/graphs.ts';

type Adjoint = AlignmentOptions['adjoint'];

/** Enough for any turn and for the distortions of the published settings. */
export const COMMON_WINDOWS: WarpWindows = { affine: 3, perspective: 3 };

/** Lanes of a call, in ascending order, that are computed together. */
export interface LaneGroup {
  readonly adjoint: Adjoint;
  readonly lanes: readonly number[];
}

/** One or two groups. */
export function groupByAdjoint({ lanes, cutouts }: AlignmentInput, size: number): LaneGroup[] {
  const all = Array.from({ length: lanes }, (_, lane) => lane);
  const gathers = all.map((lane) => fitsWindows(cutouts, { lane, lanes, size }));
  const groups: LaneGroup[] = [
    { adjoint: { gather: COMMON_WINDOWS }, lanes: all.filter((lane) => gathers[lane]) },
    { adjoint: 'scatter', lanes: all.filter((lane) => !gathers[lane]) },
  ];
  return groups.filter((group) => group.lanes.length > 0);
}

function fitsWindows(
  { affine, perspective, affineFlag }: CutoutParameters,
  { lane, lanes, size }: { lane: number; lanes: number; size: number },
): boolean {
  const n = affineFlag.length / lanes;
  return Array.from({ length: n }, (_, i) => (lane * n + i) * 9).every(
    (at) =>
      holdsWeights(COMMON_WINDOWS.affine, affine.subarray(at, at + 9), size) &&
      holdsWeights(COMMON_WINDOWS.perspective, perspective.subarray(at, at + 9), size),
  );
}

/** The call that these lanes would make alone. */
export function selectLanes(input: AlignmentInput, chosen: readonly number[]): AlignmentInput {
  const { lanes, weights, cutouts } = input;
  if (chosen.length === lanes) return input;
  const rows = <A extends Float32Array | Float64Array | Int32Array>(values: A): A => {
    const size = values.length / lanes;
    const all = new (values.constructor as new (length: number) => A)(size * chosen.length);
    chosen.forEach((lane, at) => all.set(values.subarray(lane * size, (lane + 1) * size), at * size));
    return all;
  };
  const each = <T extends object>(of: T): T =>
    Object.fromEntries(Object.entries(of).map(([name, values]) => [name, rows(values as Float32Array)])) as T;
  return {
    lanes: chosen.length,
    cutoutsPerLane: input.cutoutsPerLane,
    latents: rows(input.latents),
    prompts: chosen.map((lane) => input.prompts[lane]!),
    cutouts: each(cutouts),
    noiseScale: rows(input.noiseScale),
    weights: each(weights),
  };
}

/** Answers of the groups as the answer of one call. */
export function joinLanes(groups: readonly LaneGroup[], answers: readonly AlignmentOutput[]): AlignmentOutput {
  if (answers.length === 1) return answers[0]!;
  const lanes = groups.reduce((sum, group) => sum + group.lanes.length, 0);
  const rows = (field: keyof AlignmentOutput): Float32Array | undefined => {
    const size = (answers[0]![field]?.length ?? 0) / groups[0]!.lanes.length;
    if (size === 0) return undefined;
    const all = new Float32Array(size * lanes);
    groups.forEach((group, g) => {
      const own = answers[g]![field]!;
      group.lanes.forEach((lane, at) => all.set(own.subarray(at * size, (at + 1) * size), lane * size));
    });
    return all;
  };
  const itc = rows('itc');
  return { gradient: rows('gradient')!, itm: rows('itm')!, itg: rows('itg')!, ...(itc && { itc }) };
}
