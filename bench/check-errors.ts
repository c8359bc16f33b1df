/**
 * @file How often `grad --check` errs: what it says of right gradients of random networks, and of wrong ones, in which the
 * output of one node of the way back is scaled. Wrong ones count where the derivative along the direction is off by a
 * twentieth of its usual size or more; by less, the tolerance may hide it.
 *
 * Usage: tsx bench/check-errors.ts [networks of each kind, 20] [seed, 1] [kind]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { checkGradient } from '../activities/gradients/check-gradient.ts';
import type { CheckedDirection } from '../activities/gradients/check-directions.ts';
import { writeGradient, type WrittenGradient } from '../activities/gradients/write-gradient.ts';
import { seededRandom, type Random } from '../judge/random.ts';
import { float32 } from '../models/onnx/dtype.ts';
import type { Graph, Initializer, Node, Value } from '../models/onnx/graph.ts';
import { writeModel } from '../models/onnx/protobuf.ts';
import { KINDS, randomNetwork } from './support/random-networks.ts';

const [networks = '20', seed = '1', only] = process.argv.slice(2);
const DIRECTIONS = 20;
/** What the output of one node is multiplied by. */
const FACTORS = [-1, 0, 0.5, 0.9, 1.1, 2];
/** Of the usual size of a derivative. */
const WRONG_BY = 0.05;

type Counts = Record<CheckedDirection['verdict'], number>;

const folder = await mkdtemp(join(tmpdir(), 'referee-check-errors-'));
try {
  for (const kind of KINDS.filter((name) => only === undefined || name === only)) {
    const random = seededRandom(Number(seed));
    const [right, wrong] = [counts(), counts()];
    for (let at = 0; at < Number(networks); at += 1) {
      const model = join(folder, 'model.onnx');
      await writeFile(model, writeModel(randomNetwork(kind, random)));
      const written = await writeGradient({ model, output: join(folder, 'gradient.onnx'), force: true });
      const directions = await check(written, at);
      for (const { verdict } of directions) right[verdict] += 1;
      const scaled = { ...written, bytes: writeModel(withScaledNode(written.result, random)) };
      for (const [index, { verdict, gradient, differences, error }] of (await check(scaled, at)).entries()) {
        const usual = error === 0 ? Infinity : Math.abs(gradient - differences) / error;
        if (Math.abs(gradient - directions[index]!.gradient) >= WRONG_BY * usual) wrong[verdict] += 1;
      }
    }
    console.log(`${kind.padEnd(14)} right: ${line(right)}    wrong: ${line(wrong)}`);
  }
} finally {
  await rm(folder, { recursive: true });
}

async function check(written: WrittenGradient, seedOfCheck: number): Promise<readonly CheckedDirection[]> {
  return (await checkGradient(written, { seed: seedOfCheck, directions: DIRECTIONS })).directions;
}

/** A graph in which one node of the way back has its first output scaled. */
function withScaledNode(graph: Graph, random: Random): Graph {
  const scaled = random.pick(
    graph.nodes.filter(({ name, outputs }) => name.includes('/vjp/') && outputs[0]?.dtype === 'float32'),
  );
  const [output] = scaled.outputs as [Value];
  const unscaled = { ...output, name: `${output.name}/unscaled` };
  const factor: Initializer = {
    value: { name: `${output.name}/factor`, dtype: 'float32', shape: [] },
    data: float32(Float32Array.of(random.pick(FACTORS)), []),
  };
  const nodes = graph.nodes.flatMap((node): Node[] =>
    node === scaled
      ? [
          { ...node, outputs: [unscaled, ...node.outputs.slice(1)] },
          {
            name: `${node.name}/scale`,
            op: 'Mul',
            domain: '',
            inputs: [unscaled, factor.value],
            outputs: [output],
            attributes: {},
          },
        ]
      : [node],
  );
  return { ...graph, nodes, initializers: [...graph.initializers, factor] };
}

function counts(): Counts {
  return { agrees: 0, differs: 0, unclear: 0 };
}

function line({ agrees, differs, unclear }: Counts): string {
  return `${agrees} agree, ${differs} differ, ${unclear} unclear`;
}
