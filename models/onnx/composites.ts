/**
 * @file Operators that are taken apart into others while a file is read. A table per family, in `composites/`.
 */
import type { GraphBuilder, NamedNode } from './builder.ts';
import { attentionComposites } from './composites/attention.ts';
import type { Composite } from './composites/composite.ts';
import { problem } from './composites/composite.ts';
import { croppingComposites } from './composites/cropping.ts';
import { lossComposites } from './composites/losses.ts';
import { normalisationComposites } from './composites/normalisation.ts';
import { scatteringComposites } from './composites/scattering.ts';
import { spectralComposites } from './composites/spectra.ts';
import type { Value } from './graph.ts';
import { AttributeReader } from './graph.ts';

const COMPOSITES: ReadonlyMap<string, Composite> = new Map([
  ...Object.entries(attentionComposites),
  ...Object.entries(croppingComposites),
  ...Object.entries(lossComposites),
  ...Object.entries(normalisationComposites),
  ...Object.entries(scatteringComposites),
  ...Object.entries(spectralComposites),
]);

/** Operators that are read so. */
export function compositeOperators(): readonly string[] {
  return [...COMPOSITES.keys()];
}

/** A small file may hold many operators that are made of many. */
const MOST_NODES = 100_000;

/** The outputs of the node under the names that it brings, if it is a composite; undefined for any other. */
export function takeApart(b: GraphBuilder, node: NamedNode): Value[] | undefined {
  const composite = COMPOSITES.get(node.op);
  if (!composite) return undefined;
  const where = `node ${node.name} (${node.op})`;
  if (b.nodes.length > MOST_NODES) throw problem({ where }, `the graph has grown to more than ${MOST_NODES} nodes`);
  const made = b.scope(node.name.replace(/^\//, ''), () =>
    composite({
      b,
      node,
      attributes: new AttributeReader(node.attributes, where),
      where,
      required: (at) => {
        const value = node.inputs[at];
        if (!value) throw problem({ where }, `input ${at} is missing`);
        return value;
      },
      optional: (at) => node.inputs[at],
      isAsked: (at) => node.outputs[at] !== undefined,
    }),
  );
  return node.outputs.map((output, at) => {
    const value = made[at];
    if (!value) {
      if (output === undefined) return made[0]!;
      throw problem({ where }, `${node.outputs.length} outputs are asked for, it has ${made.length}`);
    }
    if (output === undefined) return value;
    return b.namedNode({ name: node.name, op: 'Identity', inputs: [value], outputs: [output], attributes: {} })[0]!;
  });
}
