/**
 * @file One case of the suite: does our reader read it, does what it wrote say what was recorded, does the gradient agree
 * with central differences of the untouched model?
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { checkDirections } from '../../activities/gradients/check-directions.ts';
import { randomTensor } from '../../activities/gradients/check-inputs.ts';
import { hasDifferences } from '../../activities/gradients/differences.ts';
import { GradientRuns } from '../../activities/gradients/gradient-runs.ts';
import { moved, realsOf, rootMeanSquare } from '../../activities/gradients/reals.ts';
import { isRefereeError } from '../../errors.ts';
import { differentiated } from '../../models/autodiff/grad.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import type { Graph, Value } from '../../models/onnx/graph.ts';
import { optimise } from '../../models/onnx/passes/optimise.ts';
import { readModel, writeModel } from '../../models/onnx/protobuf.ts';
import type { Session } from '../../models/runtime/device.ts';
import type { Outcome } from './outcome.ts';
import { inProcess, load } from './runtime.ts';
import { differenceOf, readDataSets } from './tensors.ts';
import { withWholesFixed } from './fix-wholes.ts';

type Tensors = ReadonlyMap<string, Tensor>;

export async function judgeCase(folder: string): Promise<Outcome> {
  const bytes = new Uint8Array(await readFile(join(folder, 'model.onnx')));
  const sets = await readDataSets(folder);
  const outcome = await judge(folder, bytes, sets);
  if (outcome.stock.is !== 'agrees' || outcome.read.is !== 'refused') return outcome;
  const fixed = withWholesFixed(bytes, sets);
  if (!fixed) return outcome;
  const again = await judge(folder, fixed.bytes, fixed.sets);
  return again.read.is === 'read' && again.stock.is === 'agrees' ? { ...again, isFixed: true } : outcome;
}

async function judge(folder: string, bytes: Uint8Array, sets: DataSets): Promise<Outcome> {
  const sessions: Session[] = [];
  try {
    const { stock, session } = await stockOf(bytes, sets, sessions);
    let graph: Graph;
    try {
      graph = readModel(bytes, { folder });
    } catch (error) {
      const read = { is: isRefereeError(error) ? ('refused' as const) : ('bug' as const), why: lineOf(error) };
      return { stock, read, outputs: { is: 'skipped' }, gradient: { is: 'skipped' } };
    }
    const read = { is: 'read' } as const;
    if (!session) return { stock, read, outputs: { is: 'skipped' }, gradient: { is: 'skipped' } };
    const outputs = await outputsOf(graph, session, sets, sessions);
    const gradient = await gradientOf({ graph, bytes, folder, session, set: sets[0]!, sessions });
    return { stock, read, outputs, gradient };
  } finally {
    for (const session of sessions) await session.release();
  }
}

type DataSets = Awaited<ReturnType<typeof readDataSets>>;

interface Stock {
  readonly stock: Outcome['stock'];
  /** Where it agrees. */
  readonly session?: Session;
}

async function stockOf(bytes: Uint8Array, sets: DataSets, sessions: Session[]): Promise<Stock> {
  try {
    const session = await load(bytes);
    sessions.push(session);
    for (const set of sets) {
      const feeds = feedsOf(session, set);
      if (!feeds || set.outputs.includes(undefined)) return { stock: { is: 'unfed' } };
      const why = differs(session.outputNames, await session.run(Object.fromEntries(feeds)), set);
      if (why !== undefined) return { stock: { is: 'differs', why } };
    }
    return sets.length === 0 ? { stock: { is: 'unfed' } } : { stock: { is: 'agrees' }, session };
  } catch (error) {
    return { stock: { is: 'refuses', why: lineOf(error) } };
  }
}

function feedsOf({ inputNames }: Session, { inputs }: DataSets[number]): Tensors | undefined {
  const feeds = new Map<string, Tensor>();
  for (const [at, tensor] of inputs.entries()) {
    if (!tensor) return undefined;
    if (inputNames[at] !== undefined) feeds.set(inputNames[at], tensor);
  }
  return feeds;
}

function differs(
  names: readonly string[],
  found: Readonly<Record<string, Tensor>>,
  { outputs }: DataSets[number],
): string | undefined {
  for (const [at, expected] of outputs.entries()) {
    const why = differenceOf(found[names[at]!], expected!);
    if (why !== undefined) return `${names[at]}: ${why}`;
  }
  return undefined;
}

async function outputsOf(
  graph: Graph,
  stock: Session,
  sets: DataSets,
  sessions: Session[],
): Promise<Outcome['outputs']> {
  try {
    const ours = await load(writeModel(optimise(graph)));
    sessions.push(ours);
    for (const set of sets) {
      const results = await ours.run(Object.fromEntries(feedsOf(stock, set)!));
      const why = differs(stock.outputNames, results, set);
      if (why !== undefined) return { is: 'differ', why };
    }
    return { is: 'agree' };
  } catch (error) {
    return { is: 'differ', why: lineOf(error) };
  }
}

interface Differentiating {
  readonly graph: Graph;
  readonly bytes: Uint8Array;
  readonly folder: string;
  readonly session: Session;
  readonly set: DataSets[number];
  readonly sessions: Session[];
}

async function gradientOf({
  graph,
  bytes,
  folder,
  session,
  set,
  sessions,
}: Differentiating): Promise<Outcome['gradient']> {
  const isReal = ({ dtype }: Value): boolean => hasDifferences(dtype);
  const feeds = feedsOf(session, set)!;
  const isFinite = (tensor: Tensor | undefined): boolean =>
    tensor !== undefined && realsOf(tensor).every(Number.isFinite);
  const of = graph.outputs.filter(
    (value) => isReal(value) && isFinite(set.outputs[session.outputNames.indexOf(value.name)]),
  );
  const reals = graph.inputs.filter(
    (value) => isReal(value) && feeds.get(value.name)!.data.length > 0 && isFinite(feeds.get(value.name)),
  );
  const wrt = of.length === 0 ? [] : await movable(session, reals, feeds);
  if (of.length === 0 || wrt.length === 0) return { is: 'none' };
  const names = (values: readonly Value[]): string[] => values.map(({ name }) => name);
  try {
    const result = differentiated(graph, { of: names(of), wrt: names(wrt) });
    const written = {
      ...{ source: { name: 'model.onnx', path: folder, folder, bytes }, path: join(folder, 'gradient.onnx') },
      ...{ graph, result, bytes: writeModel(result), of, wrt, unreached: [], weights: undefined },
    };
    const cotangents = new Map(
      of.map(({ name, dtype }, at) => {
        const { shape } = set.outputs[session.outputNames.indexOf(name)]!;
        return [name, randomTensor(dtype, shape, 0, 1_000_000 + at)];
      }),
    );
    const isHalf = [...of, ...wrt].some(({ dtype }) => dtype === 'float16');
    let verdict: Outcome['gradient'] = { is: 'unclear' };
    // Recorded inputs are often whole numbers, where kinks and jumps are, or so large that a tanh has no slope: then other
    // points count.
    for (const point of [feeds, beside(feeds, wrt), beside(feeds, wrt, 0.25)]) {
      const gradients = await GradientRuns.open(inProcess(sessions), written, {
        ...{ feeds: point, weights: new Map(), cotangents },
      });
      const after = await gradients.all();
      const before = await session.run(Object.fromEntries(point));
      const apart = graph.outputs
        .map(({ name }) => ({ name, why: differenceOf(after.get(name), before[name]!) }))
        .find(({ why }) => why !== undefined);
      if (apart) return { is: 'differs', why: `${apart.name}: ${apart.why}` };
      const tolerance = isHalf ? 5e-2 : 1e-2;
      const checked = await checkDirections({
        ...{ model: session, wrt, point, after, gradients, cotangents, seed: 0, tolerance, directions: 1 },
      });
      const bad =
        checked.find(({ verdict: word }) => word === 'differs') ??
        checked.find(({ verdict: word }) => word !== 'agrees');
      if (!bad) return { is: 'agrees' };
      const { error, uncertainty } = bad.path ?? bad;
      verdict = {
        // Three digits need steps as long as the way between two jumps.
        is: bad.verdict === 'differs' && !isHalf ? 'differs' : 'unclear',
        why: `gradient.${bad.wrt} off by ${error.toExponential(1)}, certain to ${uncertainty.toExponential(1)}`,
      };
    }
    return verdict;
  } catch (error) {
    const isRefused = isRefereeError(error) && error.code !== 'Internal';
    return { is: isRefused ? 'refused' : 'bug', why: lineOf(error) };
  }
}

/** Those that may be other numbers: not a scale that decides sizes, nor a ratio that only zero stands for inference. */
async function movable(session: Session, reals: readonly Value[], feeds: Tensors): Promise<Value[]> {
  const shapesOf = async (point: Tensors): Promise<string> =>
    JSON.stringify(Object.values(await session.run(Object.fromEntries(point))).map(({ shape }) => shape));
  const expected = await shapesOf(feeds);
  const found: Value[] = [];
  for (const value of reals) {
    const isSame = await shapesOf(beside(feeds, [value])).then(
      (shapes) => shapes === expected,
      () => false,
    );
    if (isSame) found.push(value);
  }
  return found;
}

/** The real inputs made smaller by `factor`, then moved by a tenth of their usual size. */
function beside(feeds: Tensors, wrt: readonly Value[], factor = 1): Tensors {
  const point = new Map(feeds);
  wrt.forEach(({ name, dtype }, at) => {
    const given = feeds.get(name)!;
    const x = moved(given, given, factor - 1);
    point.set(name, moved(x, randomTensor(dtype, x.shape, 0, 3_000_000 + at), 0.1 * (rootMeanSquare(x) || 1)));
  });
  return point;
}

function lineOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').slice(0, 300);
}
