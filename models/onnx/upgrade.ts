/**
 * @file Nodes of older operator sets, written as operator set 21 writes them, so that everything behind the reader knows
 * one set only. Source: the operators' histories in ONNX's Changelog.md. A table per family, in `upgrade/`.
 */
import type { GraphBuilder, NamedNode } from './builder.ts';
import { AttributeReader } from './graph.ts';
import { convolutionUpgrades } from './upgrade/convolution.ts';
import { firstSetUpgrades } from './upgrade/first-sets.ts';
import { normalisationUpgrades } from './upgrade/normalisation.ts';
import { samplingUpgrades } from './upgrade/sampling.ts';
import { settingUpgrades } from './upgrade/settings.ts';
import type { UpgradeStep } from './upgrade/step.ts';
import { without } from './upgrade/step.ts';

export const OLDEST_OPSET = 1;
/** The newest that onnxruntime reads. Sets from 22 on add operators and element types, and change nothing that we know. */
export const NEWEST_OPSET = 26;

/** Oldest first, also of an operator that several tables know. */
const STEPS = new Map<string, readonly UpgradeStep[]>();
const TABLES = [firstSetUpgrades, convolutionUpgrades, normalisationUpgrades, samplingUpgrades, settingUpgrades];
for (const table of TABLES) {
  for (const [name, steps] of Object.entries(table)) STEPS.set(name, [...(STEPS.get(name) ?? []), ...steps]);
}

/** Until set 5 operators said which inputs they wrote over. */
const LAST_CONSUMING = 5;

/** Operators that only got another name. */
const RENAMED: ReadonlyMap<string, string> = new Map([['Scatter', 'ScatterElements']]);

/** The node as set 21 writes it; may append constants, and nodes that stand before it. */
export function upgradeNode(b: GraphBuilder, opset: number, node: NamedNode): NamedNode {
  const attributes = opset > LAST_CONSUMING ? node.attributes : without(node.attributes, 'consumed_inputs');
  const renamed = { ...node, op: RENAMED.get(node.op) ?? node.op, attributes };
  const steps = STEPS.get(renamed.op)?.filter(({ until }) => opset < until) ?? [];
  return steps.reduce((old, step) => {
    const where = `node ${old.name} (${old.op})`;
    return step.apply(old, { b, opset, attributes: new AttributeReader(old.attributes, where), where });
  }, renamed);
}
