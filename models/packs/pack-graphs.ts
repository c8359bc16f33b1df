/**
 * @file The graphs of a pack, each built once: whoever estimates how much memory they take leaves them for whoever loads
 * them, and is not kept waiting twice.
 */
import type { Graph } from '../onnx/graph.ts';
import * as graphs from './graphs.ts';
import type { AlignmentOptions } from './graphs.ts';
import type { Kernels } from './kernels.ts';
import type { PackParts } from './parts.ts';

const PLAIN = {
  'encode-text': graphs.encodeTextGraph,
  guidance: graphs.guidanceGraph,
  decode: graphs.decodeGraph,
  'decode-vjp': graphs.decodeVjpGraph,
  score: graphs.scoreGraph,
};
const ALIGNING = {
  alignment: graphs.alignmentGraph,
  referees: graphs.refereesGraph,
  stages: graphs.stagesGraph,
};

/** Which graph, and in which form. */
export type GraphRequest =
  | { readonly kind: keyof typeof PLAIN }
  | { readonly kind: keyof typeof ALIGNING; readonly options: AlignmentOptions };

export class PackGraphs {
  readonly parts: PackParts;
  readonly #kernels: Kernels;
  readonly #kept = new Map<string, Graph>();

  /** @param kernels of the devices that load the graphs */
  constructor(parts: PackParts, kernels: Kernels = 'cpu') {
    this.parts = parts;
    this.#kernels = kernels;
  }

  /** The graph, built if it is not there, and kept until it is taken. */
  look(request: GraphRequest): Graph {
    const key = keyOf(request);
    const graph = this.#kept.get(key) ?? this.#build(request);
    this.#kept.set(key, graph);
    return graph;
  }

  /** The graph, kept no longer: a session holds all of it. */
  take(request: GraphRequest): Graph {
    const key = keyOf(request);
    const graph = this.#kept.get(key);
    this.#kept.delete(key);
    return graph ?? this.#build(request);
  }

  /** Keeps no graph of this kind any longer. */
  forget(kind: GraphRequest['kind']): void {
    for (const key of [...this.#kept.keys()]) if (key.startsWith(`${kind} `)) this.#kept.delete(key);
  }

  #build(request: GraphRequest): Graph {
    return 'options' in request
      ? ALIGNING[request.kind](this.parts, { ...request.options, kernels: this.#kernels })
      : PLAIN[request.kind](this.parts, this.#kernels);
  }
}

/** Equal for equal graphs, in whatever order the options were written. */
function keyOf(request: GraphRequest): string {
  if (!('options' in request)) return `${request.kind} `;
  const { cutouts, hasContrast, adjoint, places, rows = '' } = request.options;
  const windows = adjoint === 'scatter' ? '' : `${adjoint.gather.affine} ${adjoint.gather.perspective}`;
  return [request.kind, cutouts, hasContrast, places, rows, windows].join(' ');
}
