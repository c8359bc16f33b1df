import { mkdir, readFile, readdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { GraphBuilder } from '../../models/onnx/builder.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { float32 } from '../../models/onnx/dtype.ts';
import { toFloat16 } from '../../models/onnx/half.ts';
import type { Graph, Node } from '../../models/onnx/graph.ts';
import * as op from '../../models/onnx/ops.ts';
import { readModel, writeModel } from '../../models/onnx/protobuf.ts';
import { AttributeProto_AttributeType as AttributeType } from '../../models/onnx/onnx_pb.ts';
import { FLOAT, INT64, foreignModel, tensorType } from '../support/foreign-model.ts';
import type { AttributeInit } from '../support/foreign-model.ts';
import { temporaryFolder } from '../support/folder.ts';
import { runModel } from '../support/run-graph.ts';
import { referee } from './support/command.ts';
import { refused } from './support/refused.ts';

let folder: string;
let model: string;

/** y = tanh(x w): w of 512 x 2, large enough to be put beside the model. */
function network(external?: string): Graph {
  const b = new GraphBuilder('network');
  const x = b.input('x', 'float32', ['N', 512]);
  b.input('unused', 'int64', ['N']);
  const w = external
    ? b.namedWeight('w', { dtype: 'float32', shape: [512, 2], external: { file: external, offset: 8, length: 4096 } })
    : b.namedConstant('w', weight);
  b.output('y', op.tanh(b, op.matMul(b, x, w)));
  return b.build();
}

const weight: Tensor = float32(
  Float32Array.from({ length: 1024 }, (_, at) => Math.sin(at) / 16),
  [512, 2],
);

beforeEach(async () => {
  folder = await temporaryFolder();
  model = join(folder, 'model.onnx');
  await writeFile(model, writeModel(network()));
});

/** The same network with its weights in a file of its own, in a folder of its own. */
async function outside(): Promise<string> {
  const path = join(folder, 'outside');
  await mkdir(path);
  await writeFile(join(path, 'w.bin'), Buffer.concat([Buffer.alloc(8), Buffer.from(weight.data.buffer)]));
  await writeFile(join(path, 'model.onnx'), writeModel(network(join(path, 'w.bin')), { weightsRoot: path }));
  return path;
}

describe('a file with gradients', () => {
  test('is written, agrees with central differences, and says so for programs', async () => {
    const output = join(folder, 'model.grad.onnx');
    const argv = ['grad', model, '--of', 'y', '--wrt', 'x', 'w', '--output', output, '--check', '--dims', 'N=3'];
    const { code, events } = await referee([...argv, '--json']);
    expect(code).toBe(0);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      v: 1,
      inputs: ['x', 'unused', 'cotangent.y'],
      outputs: ['y', 'gradient.x', 'gradient.w'],
      check: { ok: true, inputs: { x: [3, 512], unused: [3] } },
    });
    const { directions } = events[0]!['check'] as { directions: { wrt: string; error: number }[] };
    expect(directions.map(({ wrt }) => wrt)).toEqual(['x', 'x', 'w', 'w']);
    expect(Math.max(...directions.map(({ error }) => error))).toBeLessThan(2e-3);
  });

  test('whose gradient is wrong is found by --check: exit code 3, the numbers on standard output', async () => {
    const { writeGradient } = await import('../../activities/gradients/write-gradient.ts');
    const { checkGradient } = await import('../../activities/gradients/check-gradient.ts');
    const written = await writeGradient({ model, of: ['y'], wrt: ['x'], output: join(folder, 'g.onnx') });
    const halved = (node: Node): Node => (node.outputs[0]?.name === 'gradient.x' ? { ...node, op: 'Neg' } : node);
    const wrong = { ...written.result, nodes: written.result.nodes.map(halved) };
    const report = await checkGradient({ ...written, bytes: writeModel(wrong) });
    expect(report.ok).toBe(false);
    expect(report.directions.map(({ verdict }) => verdict)).toEqual(['differs', 'differs']);
    const strict = [...['grad', model, '--output', join(folder, 'h.onnx')], '--check', '--tolerance', '0'];
    const { code, stdout, stderr } = await referee(strict);
    expect(code).toBe(3);
    expect(stdout).toMatch(/gradient\.x direction 1: .*\nDOES NOT AGREE/s);
    expect(stderr).toMatch(/^error: .*h\.onnx: 2 of 2 derivatives do not agree\n$/);
  });

  test('keeps external weights by reference in the same folder, and takes them along into another', async () => {
    const path = await outside();
    const beside = ['grad', join(path, 'model.onnx'), '--output', join(path, 'grad.onnx'), '--check'];
    expect((await referee(beside)).code).toBe(0);
    expect((await readdir(path)).sort()).toEqual(['grad.onnx', 'model.onnx', 'w.bin']);
    const other = join(folder, 'elsewhere.onnx');
    const elsewhere = ['grad', join(path, 'model.onnx'), '--output', other, '--check', '--json'];
    const { code, events } = await referee(elsewhere);
    expect([code, events[0]!['weights']]).toEqual([0, `${other}.data`]);
    const graph = readModel(await readFile(other), { folder });
    expect(graph.initializers.map(({ external }) => external?.file)).toContain(`${other}.data`);
  });

  test('puts weights into a file of their own where it is told to', async () => {
    const output = join(folder, 'grad.onnx');
    const data = join(folder, 'grad.weights');
    const { code } = await referee(['grad', model, '--output', output, '--external', data, '--check']);
    expect(code).toBe(0);
    expect((await readFile(data)).subarray(0, 4096)).toEqual(Buffer.from(weight.data.buffer));
    expect((await readFile(output)).length).toBeLessThan(4096);
  });

  test('of a branch that a whole number chooses: the number is fixed, and is no input any more', async () => {
    const branch = (name: string, opType: string): AttributeInit => ({
      name,
      type: AttributeType.GRAPH,
      g: { name, node: [{ opType, input: ['x'], output: ['z'] }], output: [{ name: 'z' }] },
    });
    const attribute = [branch('then_branch', 'Tanh'), branch('else_branch', 'Sin')];
    const choosing = foreignModel({
      input: [
        { name: 'x', type: tensorType(FLOAT, ['N', 2]) },
        { name: 'rate', type: tensorType(INT64, []) },
      ],
      initializer: [{ name: 'high', dataType: INT64, int64Data: [16000n] }],
      node: [
        { opType: 'Equal', input: ['rate', 'high'], output: ['isHigh'] },
        { opType: 'If', input: ['isHigh'], output: ['y'], attribute },
      ],
      output: [{ name: 'y', type: tensorType(FLOAT, ['N', 2]) }],
    });
    const path = join(folder, 'choosing.onnx');
    await writeFile(path, choosing);
    for (const rate of [16000, 8000]) {
      const output = join(folder, `${rate}.onnx`);
      const argv = ['grad', path, '--output', output, '--fix', `rate=${rate}`, '--check', '--json'];
      const { code, events } = await referee(argv);
      expect(code).toBe(0);
      expect(events[0]).toMatchObject({ inputs: ['x', 'cotangent.y'], check: { ok: true } });
    }
    const { code, stderr } = await referee(['grad', path, '--output', join(folder, 'open.onnx')]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/node If \(If\): its condition is known at run time only/),
    ]);
  });

  test('computes ones as the cotangent of a sum', async () => {
    const output = join(folder, 'grad.onnx');
    expect((await referee(['grad', model, '--output', output])).code).toBe(0);
    const feeds = {
      x: float32(new Float32Array(512), [1, 512]),
      unused: { dtype: 'int64', shape: [1], data: BigInt64Array.of(0n) } as const,
      'cotangent.y': float32([1, 1], [1, 2]),
    };
    const { 'gradient.x': gradient } = await runModel(await readFile(output), feeds);
    // At zero tanh' is 1: the sum of the rows of w.
    const rows = Array.from({ length: 512 }, (_, row) =>
      Math.fround(Number(weight.data[2 * row]) + Number(weight.data[2 * row + 1])),
    );
    expect(Array.from(gradient!.data, Number)).toEqual(rows);
  });
});

describe('what the model leaves open', () => {
  /** y = the states of a recurrent layer over T steps of x [T, N, 3]. */
  function layer(): Graph {
    const b = new GraphBuilder('layer');
    const [w, r] = [3, 2].map((columns, at) =>
      b.constant(
        float32(
          Array.from({ length: 8 * columns }, (_, i) => Math.sin(i + at)),
          [1, 8, columns],
        ),
        `w${at}`,
      ),
    );
    const x = b.input('x', 'float32', ['T', 'N', 3]);
    b.output('y', b.node('LSTM', [x, w, r], { hidden_size: { type: 'int', value: 2 } })[0]!);
    return b.build();
  }

  test('a recurrent layer of a fixed number of steps agrees with central differences', async () => {
    await writeFile(model, writeModel(layer()));
    const argv = ['grad', model, '--output', join(folder, 'g.onnx')];
    expect(await refused(argv)).toMatch(/^node LSTM: LSTM has no gradient rule .* --fix T=40 /);
    expect((await referee(['grad', model, '--list'])).stdout).toContain('1 nodes without a gradient rule');
    expect((await referee(['grad', model, '--list', '--fix', 'T=7'])).stdout).toContain('every node has');
    const { code, events } = await referee([...argv, '--fix', 'T=7', '--check', '--dims', 'N=2', '--json']);
    expect(code).toBe(0);
    expect(events[0]).toMatchObject({ check: { ok: true, inputs: { x: [7, 2, 3] } } });
    expect(readModel(await readFile(join(folder, 'g.onnx'))).inputs[0]?.shape).toEqual([7, 'N', 3]);
  });

  test('rounding is passed straight through on demand alone', async () => {
    const b = new GraphBuilder('int8');
    const [x, scale] = [b.input('x', 'float32', [2]), b.scalar(0.5)];
    b.output('y', b.node('DequantizeLinear', [b.node('QuantizeLinear', [x, scale])[0], scale])[0]!);
    await writeFile(model, writeModel(b.build()));
    const argv = ['grad', model, '--output', join(folder, 'g.onnx')];
    expect(await refused(argv)).toMatch(/^node QuantizeLinear: .* --straight-through \(straightThrough: true\)/);
    expect(await refused([...argv, '--straight-through', '--check'])).toMatch(/^--check: differences of rounded/);
    expect((await referee([...argv, '--straight-through'])).code).toBe(0);
    const feeds = { x: float32([1.2, -3]), 'cotangent.y': float32([7, 7]) };
    const { y, 'gradient.x': gradient } = await runModel(await readFile(join(folder, 'g.onnx')), feeds);
    expect([y, gradient]).toEqual([float32([1, 0]), float32([7, 0])]);
  });
});

describe('half precision', () => {
  /** y = log softmax of gelu(x w): everything in float16. */
  async function written(): Promise<string> {
    const b = new GraphBuilder('half');
    const bits = Uint16Array.from({ length: 128 }, (_, at) => toFloat16(Math.sin(at * at) / 4));
    const w = b.namedConstant('w', { dtype: 'float16', shape: [16, 8], data: bits });
    const x = b.input('x', 'float16', ['N', 16]);
    b.output('y', op.logSoftmax(b, op.mulScalar(b, op.gelu(b, op.matMul(b, x, w)), 2)));
    await writeFile(model, writeModel(b.build()));
    return join(folder, 'half.grad.onnx');
  }

  test('is differentiated, and agrees with differences whose steps it can hold', async () => {
    const output = await written();
    const argv = ['grad', model, '--wrt', 'x', 'w', '--output', output, '--check', '--dims', 'N=4', '--json'];
    const { code, events } = await referee(argv);
    expect(code).toBe(0);
    expect(events[0]).toMatchObject({ check: { ok: true, tolerance: 0.05 } });
    const { directions } = events[0]!['check'] as { directions: { error: number; step: number }[] };
    expect(directions).toHaveLength(4);
    for (const { error } of directions) expect(error).toBeLessThan(0.02);
  });

  test('a wrong gradient is found', async () => {
    const output = await written();
    const { writeGradient } = await import('../../activities/gradients/write-gradient.ts');
    const { checkGradient } = await import('../../activities/gradients/check-gradient.ts');
    const right = await writeGradient({ model, of: ['y'], wrt: ['x'], output });
    const turned = (node: Node): Node => (node.outputs[0]?.name === 'gradient.x' ? { ...node, op: 'Neg' } : node);
    const nodes = right.result.nodes.map(turned);
    const report = await checkGradient({ ...right, bytes: writeModel({ ...right.result, nodes }) });
    expect(report.directions.map(({ verdict }) => verdict)).toEqual(['differs', 'differs']);
  });
});

describe('--list', () => {
  test('says what goes in and out, and that every node has a rule', async () => {
    const { code, stdout } = await referee(['grad', model, '--list']);
    expect(code).toBe(0);
    expect(stdout).toContain('input   x: float32[N, 512]\ninput   unused: int64[N]\noutput  y: float32[N, 2]\n');
    expect(stdout).toMatch(/every node has a gradient rule\n$/);
  });

  test('names what has no rule, also in a file that cannot be read whole', async () => {
    const node = [{ name: 'odd', opType: 'Mystery', domain: 'com.example', input: ['x'], output: ['y'] }];
    await writeFile(model, foreignModel({ node }, { imports: ['', 'com.example'] }));
    const { code, events } = await referee(['grad', model, '--list', '--json']);
    expect(code).toBe(0);
    expect(events[0]).toMatchObject({
      inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 2] }],
      operators: { 'com.example.Mystery': 1 },
      missing: [{ node: 'odd', operator: 'com.example.Mystery' }],
      problem: expect.stringContaining('odd') as string,
    });
  });
});

describe('what cannot be done is one line, exit code 2, and nothing is written', () => {
  test.each<[string, string[], RegExp]>([
    ['an output that does not exist', ['--of', 'yy'], /^--of: output "yy" of .* does not exist: did you mean "y"\?$/],
    [
      'an input that does not exist',
      ['--wrt', 'w', 'quantity'],
      /^--wrt: input or initializer "quantity" .* there are x$/,
    ],
    ['an integer input', ['--wrt', 'unused'], /^--wrt: .*"unused" .* is int64, only real numbers have a gradient$/],
    ['a size that is none', ['--dims', 'N=-1'], /^--dims: expected <name>=<whole number>, found "N=-1"$/],
    ['a size of nothing', ['--fix', 'M=2'], /: no open dimension is called "M", there are N, x\.0/],
    ['a size that is no number', ['--fix', 'N=many'], /^--fix: expected <name>=<whole number>, found "N=many"$/],
    ['a folder that is not there', ['--output', '%/gone/g.onnx'], /gone\/g\.onnx: its folder does not exist$/],
    ['a file that is there', ['--output', '%/model.onnx'], /model\.onnx: is the model itself$/],
    ['no output', ['--output', ''], /expected a file, found none$/],
    ['weights in another folder', ['--external', '/tmp'], /^--external: found "\/tmp", expected a file or folder in/],
  ])('%s', async (_, words, message) => {
    const output = words.includes('--output') ? [] : ['--output', join(folder, 'g.onnx')];
    const argv = words.map((word) => word.replace('%', folder));
    expect(await refused(['grad', model, ...argv, ...output])).toMatch(message);
    expect(await readdir(folder)).toEqual(['model.onnx']);
  });

  test('a file that is there stays, and is replaced with --force', async () => {
    const output = join(folder, 'g.onnx');
    await writeFile(output, 'mine');
    expect(await refused(['grad', model, '--output', output])).toMatch(/g\.onnx: is there already$/);
    expect(await readFile(output, 'utf8')).toBe('mine');
    expect((await referee(['grad', model, '--output', output, '--force'])).code).toBe(0);
    expect(readModel(await readFile(output)).outputs.map(({ name }) => name)).toEqual(['y', 'gradient.x']);
    expect((await readdir(folder)).sort()).toEqual(['g.onnx', 'model.onnx']);
  });

  test('a model that is none, cut off, or not there', async () => {
    const bad = join(folder, 'bad.onnx');
    await writeFile(bad, '<html>not found</html>');
    expect(await refused(['grad', bad, '--list'])).toMatch(/bad\.onnx: not an ONNX file/);
    await truncate(model, 1000);
    expect(await refused(['grad', model, '--output', join(folder, 'g.onnx')])).toMatch(/model\.onnx: not an ONNX file/);
    const { code, stderr } = await referee(['grad', join(folder, 'gone.onnx'), '--list']);
    expect([code, stderr]).toEqual([4, expect.stringMatching(/gone\.onnx: no such file\n$/)]);
  });

  test('weights that lead out of the folder by a link, or end too soon', async () => {
    const path = await outside();
    const output = join(path, 'g.onnx');
    await truncate(join(path, 'w.bin'), 4000);
    expect(await refused(['grad', join(path, 'model.onnx'), '--output', output])).toMatch(
      /initializer "w": bytes 8 to 4104 of ".*w\.bin", which has 4000$/,
    );
    const linked = join(folder, 'linked');
    await mkdir(linked);
    await writeFile(join(linked, 'model.onnx'), await readFile(join(path, 'model.onnx')));
    await symlink(join(path, 'w.bin'), join(linked, 'w.bin'));
    expect(await refused(['grad', join(linked, 'model.onnx'), '--output', join(linked, 'g.onnx')])).toMatch(
      /external data ".*w\.bin" leads out of the model's folder$/,
    );
  });
});
