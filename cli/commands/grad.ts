/**
 * @file `referee grad`: an ONNX model in, the ONNX model that also computes its gradients out.
 */
import type { Command } from 'commander';

import type { GradientCheckReport } from '../../activities/gradients/check-gradient.ts';
import type { ModelListing } from '../../activities/gradients/list-model.ts';
import type { WrittenGradient } from '../../activities/gradients/write-gradient.ts';
import { RefereeError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { invalidFlag, toleranceFlag, wholeFlag } from '../flags.ts';
import { JSON_VERSION, ReportedError, oneLine } from '../render.ts';

interface GradFlags {
  readonly of?: readonly string[];
  readonly wrt?: readonly string[];
  readonly output?: string;
  readonly external?: string;
  readonly force?: boolean;
  readonly list?: boolean;
  readonly check?: boolean;
  readonly fix?: Readonly<Record<string, number>>;
  readonly straightThrough?: boolean;
  readonly dims?: Readonly<Record<string, number>>;
  readonly fill?: Readonly<Record<string, number>>;
  readonly feed?: string;
  readonly seed?: number;
  readonly directions?: number;
  readonly tolerance?: number;
  readonly json?: boolean;
}

const HELP = `
The written file has all inputs of the model and "cotangent.<output>" for each --of, all its outputs and
"gradient.<name>" for each --wrt: the gradient of the sum over outputs of sum(cotangent * output). Stock onnxruntime
runs it. Weights are embedded; weights that lie in other files stay there if the output is written beside the model,
else are copied to <output>.data.

Exit code 3: --check found a gradient that does not agree with differences of the model, or could not tell.

Examples:
  referee grad classifier.onnx --list
  referee grad classifier.onnx --of logits --wrt image --output classifier.grad.onnx --check
  referee grad reader.onnx --of y --wrt x conv1.weight --output reader.grad.onnx --check --dims W=160
  referee grad lstm.onnx --output lstm.grad.onnx --fix T=40
  referee grad speech.onnx --of output --wrt input --fix rate=16000 --output speech.grad.onnx
  referee grad int8.onnx --output int8.grad.onnx --straight-through`;

export function configureGrad(command: Command, context: Context): void {
  const pairs = (flag: string) => (text: string, before?: Readonly<Record<string, number>>) => ({
    ...before,
    ...parsePair(flag, text),
  });
  command
    .argument('<model>', 'an ONNX file')
    .option('--of <output...>', 'outputs to differentiate (default: the only one that is a real number)')
    .option('--wrt <name...>', 'inputs or initializers to differentiate by (default: the only real input)')
    .option('--output <file>', 'the ONNX file to write')
    .option('--external <path>', 'put the weights into this file, or a file in this folder, beside the output')
    .option('--force', 'replace files that are there')
    .option('--list', 'only say what goes in, what comes out, and which nodes have no gradient rule')
    .option('--check', 'run what was written and compare with central differences of the model')
    .option(
      '--fix <name=size>',
      'fix a size in the written file: of a symbolic dimension, <input>.<axis>, or an input that is one whole number',
      pairs('fix'),
    )
    .option('--straight-through', 'pass gradients through the rounding of QuantizeLinear as if nothing were rounded')
    .option('--dims <name=size>', 'size of a symbolic dimension for --check; or <input>.<axis>=size', pairs('dims'))
    .option('--fill <input=number>', 'an input that holds this number everywhere, for --check', pairs('fill'))
    .option('--feed <file>', 'safetensors with inputs for --check (default: normal numbers; whole numbers are 1)')
    .addOption(wholeFlag('seed', { min: 0, max: Number.MAX_SAFE_INTEGER }, 'of --check (default: 0)'))
    .addOption(wholeFlag('directions', { min: 1, max: 100 }, 'random directions per name of --wrt (default: 2)'))
    .addOption(
      toleranceFlag(
        'tolerance',
        'error allowed over the usual size of a derivative (default: 0.01, half precision 0.05)',
      ),
    )
    .option('--json', 'one JSON document on standard output')
    .addHelpText('after', HELP)
    .action((model: string, flags: GradFlags) => gradient(model, flags, context));
}

async function gradient(model: string, flags: GradFlags, { stdout }: Context): Promise<void> {
  const { keepHeapLean } = await import('../../activities/gradients/lean-heap.ts');
  keepHeapLean();
  const { list = false, check = false, output, json = false, of, wrt, external, force } = flags;
  const { fix, straightThrough } = flags;
  const reading = { ...(fix && { sizes: fix }), ...(straightThrough !== undefined && { straightThrough }) };
  const print = (document: object, lines: () => readonly string[]): void => {
    stdout.write(
      json ? `${JSON.stringify({ v: JSON_VERSION, ...document })}\n` : `${lines().map(oneLine).join('\n')}\n`,
    );
  };
  if (list) {
    const { listModel } = await import('../../activities/gradients/list-model.ts');
    const listing = await listModel(model, reading);
    print(listing, () => listingLines(listing));
    return;
  }
  if (output === undefined)
    throw new RefereeError('InvalidOption', '--output: expected a file to write, found nothing');
  if (check && straightThrough === true) {
    throw new RefereeError(
      'InvalidOption',
      '--check: differences of rounded numbers are steps and never agree with --straight-through, leave one of both out',
    );
  }
  const { writeGradient } = await import('../../activities/gradients/write-gradient.ts');
  const given = { ...reading, ...(of && { of }), ...(wrt && { wrt }), ...(external !== undefined && { external }) };
  const written = await writeGradient({ model, output, ...given, ...(force !== undefined && { force }) });
  const report = check ? await checked(written, flags) : undefined;
  print({ ...writtenDocument(written), ...(report && { check: report }) }, () => [
    ...writtenLines(written),
    ...(report ? reportLines(report) : []),
  ]);
  if (report?.ok === false) {
    const wrong = report.directions.filter(({ verdict }) => verdict !== 'agrees').length;
    const found =
      wrong === 0
        ? 'its outputs differ from the model'
        : `${wrong} of ${report.directions.length} derivatives do not agree`;
    throw new ReportedError(new RefereeError('OutOfTolerance', `${output}: ${found}`));
  }
}

async function checked(written: WrittenGradient, flags: GradFlags): Promise<GradientCheckReport> {
  const { checkGradient } = await import('../../activities/gradients/check-gradient.ts');
  const { dims, fill, feed, seed, directions, tolerance } = flags;
  const given = { dims, fill, feed, seed, directions, tolerance };
  return checkGradient(written, Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
}

/** `name=number`; names may hold "=", numbers may not. */
function parsePair(flag: string, text: string): Record<string, number> {
  const at = text.lastIndexOf('=');
  const value = Number(text.slice(at + 1));
  const isNumber = flag === 'fill';
  const isSize = isNumber || (Number.isSafeInteger(value) && value >= 0);
  if (at < 1 || text.length === at + 1 || !Number.isFinite(value) || !isSize) {
    throw invalidFlag(flag, isNumber ? '<input>=<number>' : '<name>=<whole number>', text);
  }
  return { [text.slice(0, at)]: value };
}

function listingLines(listing: ModelListing): string[] {
  const { model, producer, opset, inputs, outputs, initializers, operators, missing, problem } = listing;
  const line =
    (kind: string) =>
    ({ name, dtype, shape }: ModelListing['inputs'][number]) =>
      `${kind.padEnd(8)}${name}: ${dtype}${shape ? `[${shape.join(', ')}]` : ''}`;
  const nodes = Object.values(operators).reduce((a, b) => a + b, 0);
  const counts = Object.entries(operators).map(([op, count]) => `${op} ${count}`);
  return [
    `${model}: operator set ${opset}${producer === '' ? '' : `, written by ${producer}`}`,
    ...inputs.map(line('input')),
    ...outputs.map(line('output')),
    `nodes   ${nodes}: ${counts.join(', ')}`,
    ...(problem === undefined ? [`weights ${initializers.length}, named in --json`] : [`problem ${problem}`]),
    missing.length === 0
      ? `every ${problem === undefined ? 'node' : 'operator'} has a gradient rule`
      : `${missing.length} nodes without a gradient rule:`,
    ...missing.map(({ node, operator, reason }) => `  ${node} (${operator}): ${reason}`),
  ];
}

function writtenDocument({ path, of, wrt, bytes, weights, result, unreached }: WrittenGradient): object {
  const names = (values: WrittenGradient['of']): string[] => values.map(({ name }) => name);
  return {
    output: path,
    ...(weights !== undefined && { weights }),
    bytes: bytes.length,
    of: names(of),
    wrt: names(wrt),
    inputs: names(result.inputs),
    outputs: names(result.outputs),
    nodes: result.nodes.length,
    unreached,
  };
}

function writtenLines({ path, bytes, weights, graph, result, unreached }: WrittenGradient): string[] {
  return [
    `${path}: ${result.nodes.length} nodes (the model has ${graph.nodes.length}), ${(bytes.length / 1e6).toFixed(2)} MB`,
    ...(weights === undefined ? [] : [`weights in ${weights}`]),
    ...unreached.map((name) => `gradient.${name} is zero: no output depends on ${name}`),
  ];
}

function reportLines({
  directions,
  outputError,
  tolerance,
  provider,
  seed,
  inputs,
  ok,
}: GradientCheckReport): string[] {
  const shapes = Object.entries(inputs).map(([name, shape]) => `${name} [${shape.join(', ')}]`);
  return [
    `check on ${provider}, seed ${seed}: ${shapes.join(', ')}`,
    `outputs of both files differ by ${exponent(outputError)} of their largest value`,
    ...directions.flatMap(directionLines),
    ok ? `agrees (allowed ${tolerance})` : `DOES NOT AGREE (allowed ${tolerance})`,
  ];
}

const exponent = (value: number): string => value.toExponential(2);

/** A second line where differences at the point do not tell enough: the mean along a way. */
function directionLines({ path, verdict, ...found }: GradientCheckReport['directions'][number]): string[] {
  const { wrt, direction, gradient: value, differences, step, error, uncertainty, rounding, apart } = found;
  const first =
    `gradient.${wrt} direction ${direction}: ${value.toPrecision(6)}, by differences ${differences.toPrecision(6)} ` +
    `(step ${step}, certain to ${exponent(uncertainty)}): off by ${exponent(error)}`;
  if (!path) return [`${first}, ${verdict}`];
  return [
    `${first}; both sides are ${exponent(apart)} apart, of which rounding explains ${exponent(rounding)}`,
    `  its mean along the way: ${path.gradient.toPrecision(6)}, by the ends ${path.differences.toPrecision(6)} ` +
      `(step ${path.step}, ${path.points} points, certain to ${exponent(path.uncertainty)}): ` +
      `off by ${exponent(path.error)}, ${verdict}`,
  ];
}
