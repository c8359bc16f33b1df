/**
 * @file A graph as text for people: what goes in, which weights it reads, one line per node below the headings of its
 * scopes, what comes out.
 */
import type { Attribute, Graph, Initializer, Node, Value } from './graph.ts';
import { formatShape } from './shapes.ts';

/** Constants up to this many elements are written out where they are read. */
const WRITTEN_OUT = 8;
const INDENT = '  ';

/** The graph as lines of text, without a last line end. */
export function printGraph(graph: Graph): string {
  const constants = new Map(graph.initializers.map((initializer) => [initializer.value, initializer]));
  return [
    `graph ${graph.name}, operator set ${graph.opset}, ${count(graph.nodes.length, 'node')}`,
    ...graph.inputs.map((input) => `input ${describe(input)}`),
    ...weightLines(graph.initializers),
    ...nodeLines(graph.nodes, constants),
    ...graph.outputs.map((output) => `output ${describe(output)}`),
  ].join('\n');
}

function describe({ name, dtype, shape }: Value): string {
  return `${name}: ${dtype}${formatShape(shape)}`;
}

function weightLines(initializers: readonly Initializer[]): string[] {
  const groups = new Map<string, { values: number; bytes: number }>();
  for (const { data, external } of initializers) {
    const where = external ? external.file : 'in the graph';
    const group = groups.get(where) ?? { values: 0, bytes: 0 };
    groups.set(where, {
      values: group.values + 1,
      bytes: group.bytes + (external?.length ?? data?.data.byteLength ?? 0),
    });
  }
  return [...groups].map(([where, { values, bytes }]) =>
    where === 'in the graph'
      ? `constants: ${values}, ${formatBytes(bytes)}`
      : `weights: ${values}, ${formatBytes(bytes)} of ${where}`,
  );
}

function nodeLines(nodes: readonly Node[], constants: ReadonlyMap<Value, Initializer>): string[] {
  const lines: string[] = [];
  let open: readonly string[] = [];
  for (const node of nodes) {
    const path = node.name.startsWith('/') ? node.name.slice(1).split('/') : [node.name];
    const scopes = path.slice(0, -1);
    const shared = open.findIndex((scope, depth) => scope !== scopes[depth]);
    const kept = shared < 0 ? open.length : shared;
    for (let depth = Math.min(kept, scopes.length); depth < scopes.length; depth += 1) {
      lines.push(`${INDENT.repeat(depth + 1)}${scopes[depth]!}`);
    }
    open = scopes;
    const scope = scopes.length === 0 ? '' : `/${scopes.join('/')}/`;
    lines.push(`${INDENT.repeat(scopes.length + 1)}${nodeLine(node, scope, constants)}`);
  }
  return lines;
}

function nodeLine(node: Node, scope: string, constants: ReadonlyMap<Value, Initializer>): string {
  const inputs = node.inputs.map((input) => (input ? nameOf(input, scope, constants) : '-'));
  const attributes = Object.entries(node.attributes).map(
    ([name, attribute]) => ` ${name}=${formatAttribute(attribute)}`,
  );
  const outputs = node.outputs.map(
    ({ name, dtype, shape }) => `${nameBelow(scope, name)}: ${dtype}${formatShape(shape)}`,
  );
  return `${outputs.join(', ')} = ${node.op}(${inputs.join(', ')})${attributes.join('')}`;
}

function nameOf(value: Value, scope: string, constants: ReadonlyMap<Value, Initializer>): string {
  const data = constants.get(value)?.data;
  if (!data || data.data.length > WRITTEN_OUT) return nameBelow(scope, value.name);
  const isDecimal = data.dtype === 'float32' || data.dtype === 'float64';
  const elements = Array.from(data.data as ArrayLike<number | bigint>, (element) =>
    isDecimal ? formatFloat(Number(element)) : String(element),
  );
  return data.shape.length === 0 ? elements.join() : `[${elements.join(', ')}]`;
}

/** Names inside the scope of the line are written without it. */
function nameBelow(scope: string, name: string): string {
  const short = name.startsWith(scope) ? name.slice(scope.length) : name;
  return short.replace(/\p{Cc}/gu, '_');
}

function formatAttribute({ type, value }: Attribute): string {
  switch (type) {
    case 'float':
      return formatFloat(value);
    case 'floats':
      return `[${value.map(formatFloat).join(', ')}]`;
    case 'ints':
    case 'strings':
      return `[${value.join(', ')}]`;
    case 'tensor':
      return `${value.dtype}${formatShape(value.shape)}`;
    case 'int':
    case 'string':
      return String(value);
  }
}

/** Seven digits tell two float32 apart for people. */
function formatFloat(value: number): string {
  return String(Number(value.toPrecision(7)));
}

function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const unit = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const scaled = bytes / 1000 ** unit;
  return `${unit === 0 ? scaled : scaled.toFixed(1)} ${units[unit]!}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
