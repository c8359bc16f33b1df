/**
 * @file Checks what is fed to a graph against what it declares, before the runtime sees it: a wrong feed is one line that
 * names the session and the input.
 */
import { RefereeError, quoted } from '../../errors.ts';
import { elementCount, type Tensor } from '../onnx/dtype.ts';
import type { ValueMetadata } from './protocol.ts';

type Feeds = Readonly<Record<string, Tensor>>;

/**
 * @param session names the session in errors
 * @throws RefereeError `InvalidInput` for a feed that is missing, unknown, of another dtype or shape, or whose data do not
 * fill its shape; also when one symbol (a batch, say) stands for two sizes
 */
export function checkFeeds(session: string, inputs: readonly ValueMetadata[], feeds: Feeds): void {
  const known = new Set(inputs.map((input) => input.name));
  const unknown = Object.keys(feeds).find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw invalid(session, `has no input ${quoted(unknown)}; its inputs are ${[...known].join(', ')}`);
  }
  const sizes = new Map<string, { size: number; input: string }>();
  for (const input of inputs) {
    const feed = Object.hasOwn(feeds, input.name) ? feeds[input.name] : undefined;
    const where = `input ${quoted(input.name)}`;
    if (feed === undefined) throw invalid(session, `${where} is missing`);
    if (feed.dtype !== input.dtype) throw invalid(session, `${where} is ${feed.dtype}, expected ${input.dtype}`);
    if (feed.data.length !== elementCount(feed.shape)) {
      const found = `${where} has ${feed.data.length} elements`;
      throw invalid(session, `${found}, expected ${elementCount(feed.shape)} for shape ${formatShape(feed.shape)}`);
    }
    if (!hasShape(feed.shape, input, sizes)) {
      const expected = formatShape(input.shape.map((dim) => describeDim(dim, input.name, sizes)));
      throw invalid(session, `${where} has shape ${formatShape(feed.shape)}, expected ${expected}`);
    }
  }
}

/**
 * The names of the outputs to compute: those asked for, or all.
 *
 * @throws RefereeError `InvalidInput` for a name that the graph lacks
 */
export function checkOutputs(
  session: string,
  outputs: readonly ValueMetadata[],
  asked: readonly string[] | undefined,
): readonly string[] {
  const names = outputs.map((output) => output.name);
  const unknown = asked?.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw invalid(session, `has no output ${quoted(unknown)}; its outputs are ${names.join(', ')}`);
  return asked ?? names;
}

/** Compares, and notes what each symbol stands for. */
function hasShape(
  shape: readonly number[],
  input: ValueMetadata,
  sizes: Map<string, { size: number; input: string }>,
): boolean {
  if (shape.length !== input.shape.length) return false;
  return input.shape.every((dim, axis) => {
    const size = shape[axis]!;
    if (typeof dim === 'number') return dim === size;
    const bound = sizes.get(dim);
    if (dim === '' || bound === undefined) {
      sizes.set(dim, { size, input: input.name });
      return true;
    }
    return bound.size === size;
  });
}

/** "B" or, once another input has fixed it, "B=3 as in x". */
function describeDim(
  dim: number | string,
  input: string,
  sizes: ReadonlyMap<string, { size: number; input: string }>,
): string {
  if (typeof dim === 'number') return String(dim);
  if (dim === '') return '?';
  const bound = sizes.get(dim);
  return bound === undefined || bound.input === input ? dim : `${dim}=${bound.size} as in ${bound.input}`;
}

function formatShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}

function invalid(session: string, message: string): RefereeError {
  return new RefereeError('InvalidInput', `session ${quoted(session)}: ${message}`, { details: { session } });
}
