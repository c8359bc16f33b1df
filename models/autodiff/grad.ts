/**
 * @file From an ONNX model to the ONNX model that also computes its gradients: bytes in, bytes out.
 */
import { RefereeError } from '../../errors.ts';
import type { Graph } from '../onnx/graph.ts';
import { optimise } from '../onnx/passes/optimise.ts';
import { readModel, writeModel } from '../onnx/protobuf.ts';
import type { GradientGraphOptions } from './gradient-graph.ts';
import { gradientGraph } from './gradient-graph.ts';

export interface GradOptions extends GradientGraphOptions {
  /** Begins error messages; the model's file, say. Default "model". */
  readonly name?: string;
  /** Absolute path of the model's folder: needed where its weights are external data. They stay where they are. */
  readonly folder?: string;
  /** Sizes of dimensions that the file leaves open, fixed in the result: by symbol ("W"), or by input and axis ("image.3"). */
  readonly sizes?: Readonly<Record<string, number>>;
}

/**
 * The model with an input `cotangent.<output>` for every output of `of` and an output `gradient.<name>` for every input or
 * initializer of `wrt`; all else that goes in and comes out stays. With cotangent c of output y, `gradient.x` is the
 * gradient of sum(c * y) by x: feed ones for a sum's gradient, a one-hot vector for one score's. Stock onnxruntime runs it.
 *
 * ```js
 * import { grad } from 'referee/autodiff';
 *
 * const model = await readFile('classifier.onnx');
 * await writeFile('classifier.grad.onnx', grad(model, { of: ['logits'], wrt: ['image'] }));
 * ```
 *
 * External data is written relative to `folder`: keep the result there.
 *
 * @throws RefereeError, one line: `InvalidModel` for bytes that are no model or hold what is not supported, `InvalidInput`
 * for a name that does not exist or has no gradient, `MissingGradientRule` for a node on the way that has no rule
 */
export function grad(model: Uint8Array | Graph, { name, folder, sizes, ...options }: GradOptions): Uint8Array {
  const graph =
    model instanceof Uint8Array
      ? readModel(model, {
          ...(name !== undefined && { name }),
          ...(folder !== undefined && { folder }),
          ...(sizes && { sizes }),
        })
      : model;
  return writeModel(differentiated(graph, options), folder === undefined ? {} : { weightsRoot: folder });
}

/** The graph of the model that `grad` writes: differentiated, then rid of what is computed twice or known beforehand. */
export function differentiated(graph: Graph, options: GradientGraphOptions): Graph {
  const [of] = options.of;
  const [wrt] = options.wrt;
  if (of === undefined || wrt === undefined) {
    throw new RefereeError(
      'InvalidInput',
      `${of === undefined ? 'of' : 'wrt'}: expected at least one name, found none`,
    );
  }
  return optimise(gradientGraph(graph, options));
}
