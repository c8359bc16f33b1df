/**
 * @file Which provider each node of a session ran on, from onnxruntime's own profile: a list of events, of which one of the
 * kind `Node` tells a node's kernel. What a provider has no kernel for runs on the CPU, and its tensors are copied both ways.
 */
import { z } from 'zod';

/** Of one session, after the runtime's own rewriting of the graph. */
export interface NodePlacement {
  /** Name of the session. */
  readonly session: string;
  /** Nodes that ran, copies between devices not among them. */
  readonly nodes: number;
  /** Nodes that ran on the CPU, by operator. */
  readonly onCpu: Readonly<Record<string, number>>;
}

const CPU = 'CPUExecutionProvider';

const eventsSchema = z.array(
  z.looseObject({
    cat: z.string().optional(),
    name: z.string().optional(),
    args: z
      .looseObject({
        provider: z.string().optional(),
        op_name: z.string().optional(),
        node_index: z.string().optional(),
      })
      .optional(),
  }),
);

/**
 * @param profile text of the file that the runtime wrote
 * @throws ZodError or SyntaxError for anything else
 */
export function readPlacement(session: string, profile: string): NodePlacement {
  const seen = new Set<string>();
  const onCpu: Record<string, number> = {};
  let nodes = 0;
  for (const { cat, name = '', args } of eventsSchema.parse(JSON.parse(profile))) {
    const { provider, op_name: op, node_index: index } = args ?? {};
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || provider === undefined || op === undefined) continue;
    // Copies are inserted by the runtime; a node that ran several times is one node.
    if (op.startsWith('Memcpy') || (index !== undefined && seen.has(index))) continue;
    if (index !== undefined) seen.add(index);
    nodes += 1;
    if (provider === CPU) onCpu[op] = (onCpu[op] ?? 0) + 1;
  }
  return { session, nodes, onCpu };
}
