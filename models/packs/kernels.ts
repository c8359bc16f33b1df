/**
 * @file Which kernels the graphs of a device may count on. What is here for onnxruntime's CPU provider was measured there:
 * kernels of batch and instance normalisation, also in training mode; small convolutions instead of large ones. Other
 * providers lack the former; with the latter a U-Net came out up to 16 % off on WebGPU, for a reason that was not isolated.
 */
import type { Rule } from '../autodiff/rule.ts';
import { foldUpsampling } from '../nn/fold-upsampling.ts';
import { groupNormAdjoints } from '../nn/group-norm-adjoint.ts';
import { makeGatesAgain } from '../nn/gates-again.ts';
import { lowerForWebgpu } from '../nn/lower-for-webgpu.ts';
import { lowerGroupNorms } from '../nn/lower-group-norm.ts';
import type { OwnAdjoint } from '../nn/own-adjoint.ts';
import { leaveWeightsAsTheyLie } from '../nn/weights-as-they-lie.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Graph, Node } from '../onnx/graph.ts';
import { optimise } from '../onnx/passes/optimise.ts';

/** 'cpu' and 'webgpu': those of these providers of onnxruntime; 'any': what all of its providers have. */
export type Kernels = 'cpu' | 'webgpu' | 'any';

/** Rules for the nodes so far that bring their own adjoint: `adjoints`, and group normalisations where kernels allow it. */
export function adjointRules(
  b: GraphBuilder,
  kernels: Kernels,
  adjoints: readonly OwnAdjoint[] = [],
): ReadonlyMap<Node, Rule> {
  const all = kernels === 'cpu' ? [...groupNormAdjoints(b), ...adjoints] : adjoints;
  return new Map(all.map(({ node, adjoint }): [Node, Rule] => [node, ({ g }, into) => adjoint(into, g)]));
}

/** What is rewritten after differentiation, when everything that is computed twice can be shared. */
export function finished(graph: Graph, kernels: Kernels): Graph {
  if (kernels === 'cpu') {
    const optimised = optimise(foldUpsampling(lowerGroupNorms(graph, 'kernels')));
    return leaveWeightsAsTheyLie(makeGatesAgain(optimised));
  }
  const lowered = lowerGroupNorms(graph, 'sums');
  return optimise(kernels === 'webgpu' ? lowerForWebgpu(lowered) : lowered);
}
