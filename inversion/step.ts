/**
 * @file One step of L lanes, whatever method and step each is on: draw, one call of the diffusion model for all, one of
 * the referee for those in its phase, update. A pure function of the lanes' states, seeds and steps; lanes meet only in
 * the calls of the models, and arithmetic here never mixes them.
 */
import { isRefereeError, type RefereeError } from '../errors.ts';
import { align, type AlignmentResult, perLane } from './alignment.ts';
import { concatenate } from './augment.ts';
import type { SampleReport, StepReport } from './events.ts';
import type { StepLane } from './lane.ts';
import type { SearchModels } from './models.ts';
import { advanceSample, drawSample, isScoreDue, keepBest, type SampleDraw } from './sample-step.ts';
import { advanceSearch, drawAlignment, drawDistillation, type SearchDraw } from './search-step.ts';
import type { LaneState, SampleState, SearchState } from './state.ts';

/** What became of a lane: an error is the lane's own and a value; errors of the models' calls are thrown. */
export type StepOutcome =
  | { readonly ok: true; readonly state: LaneState; readonly report: StepReport }
  | { readonly ok: false; readonly error: RefereeError };

type Drawn =
  | { readonly kind: 'search'; readonly state: SearchState; readonly row: SearchDraw }
  | { readonly kind: 'sample'; readonly state: SampleState; readonly row: SampleDraw };

/** The next step of every lane, in their order. No lane may be finished already. */
export async function step(lanes: readonly StepLane[], models: SearchModels): Promise<StepOutcome[]> {
  const draws = lanes.map((lane) => attempt(() => draw(lane, models)));
  // Neither needs the other: with two devices they run side by side.
  const [outputs, aligned] = await Promise.all([guide(lanes, draws, models), alignSearches(lanes, draws, models)]);
  const outcomes = lanes.map((lane, i): StepOutcome => {
    const drawn = draws[i]!;
    return drawn.ok ? attempt(() => advance(lane, drawn, models, outputs[i]!, aligned[i])) : drawn;
  });
  return scoreFinished(lanes, outcomes, models);
}

function draw(lane: StepLane, models: SearchModels): Drawn {
  const { state } = lane;
  return state.kind === 'search'
    ? { kind: 'search', state, row: drawDistillation(lane, state, models) }
    : { kind: 'sample', state, row: drawSample(lane, state, models) };
}

function advance(
  lane: StepLane,
  drawn: Drawn,
  models: SearchModels,
  output: Float32Array,
  aligned: AlignmentResult | undefined,
): { state: LaneState; report: StepReport } {
  return drawn.kind === 'search'
    ? advanceSearch(lane, drawn.state, models, { draw: drawn.row, output, aligned })
    : advanceSample(drawn.state, drawn.row, output);
}

/** A result, or the foreseen error that took its place; bugs go through. */
type Attempt<T> = ({ readonly ok: true } & T) | { readonly ok: false; readonly error: RefereeError };

function attempt<T extends object>(work: () => T): Attempt<T> {
  try {
    return { ok: true, ...work() };
  } catch (error) {
    if (isRefereeError(error)) return { ok: false, error };
    throw error;
  }
}

/** The diffusion model's guided outputs by lane. */
async function guide(
  lanes: readonly StepLane[],
  draws: readonly Attempt<Drawn>[],
  models: SearchModels,
): Promise<(Float32Array | undefined)[]> {
  const members = lanes.flatMap((lane, i) => {
    const drawn = draws[i]!;
    return drawn.ok ? [{ i, prompt: lane.prompt, row: drawn.row }] : [];
  });
  const outputs = new Array<Float32Array | undefined>(lanes.length).fill(undefined);
  if (members.length === 0) return outputs;
  const answer = await models.guidance({
    lanes: members.length,
    noisy: concatenate(members.map(({ row }) => row.noisy)),
    timesteps: Float32Array.from(members, ({ row }) => row.timestep),
    guidance: Float32Array.from(members, ({ row }) => row.guidance),
    prompts: members.map(({ prompt }) => prompt),
  });
  const rows = perLane(answer, members.length, members[0]!.row.noisy.length, 'guidance');
  members.forEach(({ i }, at) => (outputs[i] = rows[at]));
  return outputs;
}

/** The referees' answers by lane; undefined for lanes outside of the referee phase. */
async function alignSearches(
  lanes: readonly StepLane[],
  draws: readonly Attempt<Drawn>[],
  models: SearchModels,
): Promise<(AlignmentResult | undefined)[]> {
  const members = lanes.flatMap((lane, i) => {
    const drawn = draws[i]!;
    const row = drawn.ok && drawn.kind === 'search' ? drawAlignment(lane, drawn.state, models) : undefined;
    return row ? [{ i, row }] : [];
  });
  const results = new Array<AlignmentResult | undefined>(lanes.length).fill(undefined);
  if (members.length === 0) return results;
  const answers = await align(
    members.map(({ row }) => row),
    models,
  );
  members.forEach(({ i }, at) => (results[i] = answers[at]));
  return results;
}

/** Lets the referee score the candidates that this step finished. */
async function scoreFinished(
  lanes: readonly StepLane[],
  outcomes: readonly StepOutcome[],
  models: SearchModels,
): Promise<StepOutcome[]> {
  const finished = lanes.flatMap((lane, i) => {
    const outcome = outcomes[i]!;
    return outcome.ok && outcome.state.kind === 'sample' && isScoreDue(lane, outcome.state)
      ? [{ i, lane, state: outcome.state, report: outcome.report as SampleReport }]
      : [];
  });
  if (finished.length === 0) return [...outcomes];
  const scores = await models.score({
    lanes: finished.length,
    latents: concatenate(finished.map(({ state }) => state.latent)),
    prompts: finished.map(({ lane }) => lane.prompt),
  });
  const scored = [...outcomes];
  perLane(scores, finished.length, 1, 'score').forEach(([score], at) => {
    const { i, lane, state, report } = finished[at]!;
    scored[i] = attempt(() => ({ state: keepBest(lane, state, score!), report: { ...report, score: score! } }));
  });
  return scored;
}
