/**
 * @file Stacks lanes into calls of the alignment graph and takes the answers apart again. Lanes of one call have the
 * same number of cutouts; nothing of one lane enters the numbers of another.
 */
import { quoted, RefereeError } from '../errors.ts';
import { concatenate, type CutoutParameters, selectCutouts, stackCutouts } from './augment.ts';
import { isFiniteArray } from './finite.ts';
import type { LanePrompt, LossWeights, SearchModels } from './models.ts';
import type { MethodOptions } from './options.ts';

/** What one lane asks of the referee. */
export interface AlignmentRow {
  readonly latent: Float32Array;
  readonly prompt: LanePrompt;
  readonly options: MethodOptions;
  readonly cutouts: CutoutParameters;
  readonly lossScale: number;
}

/** What one lane gets. */
export interface AlignmentResult {
  /** d/dz of vlmWeight L, the loss scale taken out again, [C, h, w]. */
  readonly gradient: Float32Array;
  /** Unweighted losses per cutout. */
  readonly itm: Float32Array;
  readonly itg: Float32Array;
  readonly itc?: Float32Array;
  /** The scale that gave finite numbers, or 1. */
  readonly lossScale: number;
}

/**
 * Losses and gradients of all rows, in their order. A gradient that overflows under a loss scale above 1 is computed
 * again at half the scale; with `augTopk` a first pass finds the cutouts that count.
 *
 * @throws RefereeError Internal if the models answer with another number of values.
 */
export async function align(rows: readonly AlignmentRow[], models: SearchModels): Promise<AlignmentResult[]> {
  let results = await callByCutouts(rows, models);
  const chosen = rows.map((row, i) => worstCutouts(row, results[i]!));
  results = await again(rows, results, models, (row, i) => chosen[i] && { ...row, cutouts: chosen[i] });
  const asked = rows.map((row, i) => ({ ...row, cutouts: chosen[i] ?? row.cutouts }));
  for (;;) {
    const overflown = results.map(({ gradient, lossScale }) => lossScale > 1 && !isFiniteArray(gradient));
    if (!overflown.includes(true)) return results;
    const before = results;
    const halved = (row: AlignmentRow, i: number): AlignmentRow | undefined =>
      overflown[i] ? { ...row, lossScale: before[i]!.lossScale / 2 } : undefined;
    results = await again(asked, before, models, halved);
  }
}

/** The results with those rows computed anew for which `change` gives another row. */
async function again(
  rows: readonly AlignmentRow[],
  results: readonly AlignmentResult[],
  models: SearchModels,
  change: (row: AlignmentRow, index: number) => AlignmentRow | undefined,
): Promise<AlignmentResult[]> {
  const changed = rows.map(change);
  const fresh = await callByCutouts(
    changed.filter((row) => row !== undefined),
    models,
  );
  return results.map((result, i) => (changed[i] === undefined ? result : fresh.shift()!));
}

/** The `augTopk` cutouts of the highest loss, in their old order; undefined if all count. */
function worstCutouts(
  { options, cutouts }: AlignmentRow,
  { itm, itg, itc }: AlignmentResult,
): CutoutParameters | undefined {
  const { augTopk, itmWeight, itgWeight, itcWeight } = options;
  if (augTopk === undefined || augTopk >= itm.length) return undefined;
  const losses = Array.from(itm, (loss, i) => itmWeight * loss + itgWeight * itg[i]! + itcWeight * (itc?.[i] ?? 0));
  const worst = losses.map((_, i) => i).sort((i, j) => losses[j]! - losses[i]! || i - j);
  return selectCutouts(
    cutouts,
    worst.slice(0, augTopk).sort((i, j) => i - j),
  );
}

async function callByCutouts(rows: readonly AlignmentRow[], models: SearchModels): Promise<AlignmentResult[]> {
  const groups = new Map<number, number[]>();
  rows.forEach((row, i) => {
    const n = row.cutouts.affineFlag.length;
    groups.set(n, [...(groups.get(n) ?? []), i]);
  });
  const results = new Array<AlignmentResult>(rows.length);
  for (const [n, members] of groups) {
    const answers = await call(
      members.map((i) => rows[i]!),
      n,
      models,
    );
    members.forEach((i, at) => (results[i] = answers[at]!));
  }
  return results;
}

async function call(rows: readonly AlignmentRow[], n: number, models: SearchModels): Promise<AlignmentResult[]> {
  const lanes = rows.length;
  const { gradient, itm, itg, itc } = await models.alignment({
    lanes,
    cutoutsPerLane: n,
    latents: concatenate(rows.map((row) => row.latent)),
    prompts: rows.map((row) => row.prompt),
    cutouts: stackCutouts(rows.map((row) => row.cutouts)),
    noiseScale: Float32Array.from(rows, (row) => row.options.noiseScale),
    weights: lossWeights(rows),
  });
  const gradients = perLane(gradient, lanes, rows[0]!.latent.length, 'alignment: gradient');
  const itms = perLane(itm, lanes, n, 'alignment: itm');
  const itgs = perLane(itg, lanes, n, 'alignment: itg');
  const itcs = itc && perLane(itc, lanes, n, 'alignment: itc');
  return rows.map(({ lossScale }, i) => ({
    gradient: lossScale === 1 ? gradients[i]! : gradients[i]!.map((value) => value / lossScale),
    itm: itms[i]!,
    itg: itgs[i]!,
    ...(itcs && { itc: itcs[i]! }),
    lossScale,
  }));
}

function lossWeights(rows: readonly AlignmentRow[]): LossWeights {
  const column = (value: (row: AlignmentRow) => number): Float32Array => Float32Array.from(rows, value);
  return {
    itm: column(({ options }) => options.itmWeight),
    itg: column(({ options }) => options.itgWeight),
    itc: column(({ options }) => options.itcWeight),
    vlm: column(({ options, lossScale }) => options.vlmWeight * lossScale),
    labelSmoothing: column(({ options }) => options.labelSmoothing),
  };
}

/** A call's answer as one array per lane, copied so that a lane keeps no other lane's memory alive. */
export function perLane(values: Float32Array, lanes: number, size: number, what: string): Float32Array[] {
  if (values.length !== lanes * size) {
    throw new RefereeError('Internal', `${what}: expected ${lanes} x ${size} values, found ${quoted(values.length)}`);
  }
  return Array.from({ length: lanes }, (_, i) => values.slice(i * size, (i + 1) * size));
}
