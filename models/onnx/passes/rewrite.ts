/**
 * @file Walks a graph from inputs to outputs and builds it anew; a pass says which nodes become something else. A node that
 * nothing happens to stays the same object. So do the outputs of one that reads other values of the same types and shapes;
 * everything else is inferred again, so what one node's rewriting tells about shapes reaches the nodes behind it. A graph
 * in which nothing changes is returned itself.
 */
import { GraphBuilder } from '../builder.ts';
import type { Graph, Initializer, Node, Value } from '../graph.ts';
import { sameShape } from '../shapes.ts';

/** What a pass sees of both graphs while it visits a node. */
export type Rewriting = Pick<Walk, 'b' | 'maker' | 'readers' | 'makesOutput' | 'keep'>;

/** Replacements of a node's outputs, or undefined to keep the node. Its inputs are values of the new graph. */
export type Visit = (node: Node, rewriting: Rewriting) => readonly Value[] | undefined;

export interface RewriteOptions {
  /** Operators whose nodes are visited, all by default; other nodes are kept. */
  readonly operators?: ReadonlySet<string>;
  /** The value of the new graph that stands for an initializer; undefined keeps it under its name. */
  readonly initializer?: (initializer: Initializer, b: GraphBuilder) => Value | undefined;
}

export function rewrite(graph: Graph, visit: Visit, options: RewriteOptions = {}): Graph {
  const { operators, initializer: replace } = options;
  if (operators && !replace && !graph.nodes.some(({ op }) => operators.has(op))) return graph;
  const walk = new Walk(graph);
  const { b } = walk;
  for (const input of graph.inputs) b.keepInput(input);
  for (const initializer of graph.initializers) {
    walk.becomes(initializer.value, replace?.(initializer, b) ?? b.keepInitializer(initializer));
  }
  for (const old of graph.nodes) {
    const node = walk.begin(old);
    const outputs = (!operators || operators.has(old.op)) && visit(node, walk);
    walk.end(outputs || walk.keep(node));
  }
  for (const output of graph.outputs) {
    const value = walk.renewed(output);
    if (value.name === output.name) b.outputAsNamed(value);
    else b.output(output.name, value);
  }
  const built = b.build();
  return isSame(built, graph) ? graph : built;
}

/** The old graph and the one that is being built, node by node. */
class Walk {
  /** The graph that is being built. */
  readonly b: GraphBuilder;
  readonly #old: Graph;
  readonly #results: ReadonlySet<Value>;
  /** Values that others stand for. */
  readonly #renewed = new Map<Value, Value>();
  /** Value of the new graph -> what it stands for besides itself. */
  readonly #standsFor = new Map<Value, Value[]>();
  readonly #makers = new Map<Value, Node>();
  #seen = 0;
  #counts: ReadonlyMap<Value, number> | undefined;
  #visited!: Node;
  /** The node being visited, its inputs renewed. */
  #node!: Node;
  #readsTheSame = true;

  constructor(graph: Graph) {
    this.#old = graph;
    this.#results = new Set(graph.outputs);
    this.b = GraphBuilder.anew(graph);
  }

  /** The node of the new graph that makes a value, undefined for inputs and initializers. */
  maker(value: Value): Node | undefined {
    const { nodes } = this.b;
    for (; this.#seen < nodes.length; this.#seen += 1) {
      const node = nodes[this.#seen]!;
      for (const output of node.outputs) this.#makers.set(output, node);
    }
    return this.#makers.get(value);
  }

  /** How many nodes and outputs of the old graph read what became this value; one for a value that is new. */
  readers(value: Value): number {
    this.#counts ??= countReaders(this.#old);
    const others = this.#standsFor.get(value) ?? [];
    const itself = this.#renewed.has(value) ? undefined : this.#counts.get(value);
    if (itself === undefined && others.length === 0) return 1;
    return others.reduce((sum, other) => sum + (this.#counts!.get(other) ?? 0), itself ?? 0);
  }

  /** Whether the node being visited makes an output of the graph, which must keep its name. */
  get makesOutput(): boolean {
    return this.#visited.outputs.some((output) => this.#results.has(output));
  }

  /** The node being visited as it is, or with other settings, in the new graph. */
  keep(node: Node): readonly Value[] {
    if (node === this.#node && this.#readsTheSame) return this.b.keepNode(node);
    return this.b.namedNode({ ...node, outputs: node.outputs.map(({ name }) => name) });
  }

  /** What stands for a value of the old graph. */
  renewed(value: Value): Value {
    return this.#renewed.get(value) ?? value;
  }

  becomes(old: Value, value: Value): void {
    if (old === value) return;
    this.#renewed.set(old, value);
    const others = this.#standsFor.get(value);
    if (others) others.push(old);
    else this.#standsFor.set(value, [old]);
  }

  /** Goes to a node of the old graph, and returns it with inputs of the new one. */
  begin(old: Node): Node {
    this.#visited = old;
    this.#node = old;
    this.#readsTheSame = true;
    if (this.#renewed.size === 0 || !old.inputs.some((input) => input && this.#renewed.has(input))) return old;
    this.#node = { ...old, inputs: old.inputs.map((input) => input && this.renewed(input)) };
    this.#readsTheSame = old.inputs.every((input, at) => !input || this.#isLike(this.#node.inputs[at]!, input));
    return this.#node;
  }

  /** Leaves it, with what stands for its outputs. */
  end(outputs: readonly Value[]): void {
    if (outputs === this.#visited.outputs) return;
    this.#visited.outputs.forEach((output, at) => this.becomes(output, outputs[at]!));
  }

  /** Whether inference says the same of what reads one value as of what reads the other. */
  #isLike(value: Value, old: Value): boolean {
    if (value === old) return true;
    return value.dtype === old.dtype && sameShape(value.shape, old.shape) && !this.b.knowsContents(value);
  }
}

/** Runs `append` so that new nodes are named like neighbours of `node`. */
export function besideNode<T>(b: GraphBuilder, node: Node, append: () => T): T {
  const end = node.name.lastIndexOf('/');
  return node.name.startsWith('/') && end > 0 ? b.scope(node.name.slice(1, end), append) : append();
}

function isSame(a: Graph, b: Graph): boolean {
  return sameItems(a.nodes, b.nodes) && sameItems(a.initializers, b.initializers) && sameItems(a.outputs, b.outputs);
}

/** Whether two lists hold the same objects. */
function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, at) => item === b[at]);
}

function countReaders(graph: Graph): Map<Value, number> {
  const counts = new Map<Value, number>();
  const read = (value: Value): unknown => counts.set(value, (counts.get(value) ?? 0) + 1);
  for (const node of graph.nodes) for (const input of node.inputs) if (input) read(input);
  for (const output of graph.outputs) read(output);
  return counts;
}
