/**
 * @file What onnxruntime's refusals mean. It tells them in sentences alone; these are read to errors that name the node, its
 * operator and the provider, and say whether waiting helps.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { ProviderName } from './device.ts';
import { oneLine } from './one-line.ts';

export interface SessionPlace {
  /** Name of the session. */
  readonly session: string;
  readonly provider: ProviderName;
  readonly during: 'load' | 'run';
}

interface FoundNode {
  /** Empty where the model gives it none. */
  readonly name: string;
  /** With its domain, if that is not ONNX's own. */
  readonly operator: string;
}

/**
 * Arena and allocator of onnxruntime, C++, V8's buffers, CUDA and its libraries (those that make their work space when they
 * start call the lack of room for it not being initialised), DirectX, Dawn.
 */
const NO_MEMORY =
  /Failed to allocate memory|bad_alloc|Array buffer allocation failed|out of memory|E_OUTOFMEMORY|ALLOC_FAILED|(?:CUBLAS|CUDNN|CUSPARSE)_STATUS_NOT_INITIALIZED|is smaller than requested bytes|exceeds the max buffer size|Invalid Buffer \(unlabeled\)/i;

/** Whether something failed because there was no memory for it. */
export function isOutOfMemory(error: unknown): boolean {
  return NO_MEMORY.test(error instanceof Error ? error.message : String(error));
}

/**
 * `OutOfMemory`, `UnsupportedOperator` where no kernel or no such operator is there, else `InvalidModel`. Only the first may
 * be gone later: the others follow from model, provider and inputs, which stay the same.
 */
export function sessionError(cause: unknown, place: SessionPlace): RefereeError {
  const { session, provider, during } = place;
  const said = oneLine(cause);
  const node = nodeOf(said);
  const where = `session ${quoted(session)} ${during === 'load' ? 'does not load' : 'fails to run'} on ${provider}`;
  const details = { session, provider, during, ...(node && { node: node.name, operator: node.operator }) };
  if (isOutOfMemory(cause)) {
    const at = node ? ` at ${described(node)}` : '';
    return new RefereeError('OutOfMemory', `${where}: out of memory${at}${askedFor(cause)}`, { cause, details });
  }
  const refusal = during === 'load' && node ? refusalOf(said, provider) : undefined;
  if (node && refusal !== undefined) {
    return new RefereeError('UnsupportedOperator', `${where}: ${described(node)}: ${refusal}`, { cause, details });
  }
  const hint =
    provider === 'cpu'
      ? 'the same call fails every time: check the model, and what it is given'
      : 'with --provider cpu the model shows whether it is sound';
  const reason = node ? `${described(node)}: ${reasonOf(said)}` : said;
  return new RefereeError('InvalidModel', `${where}: ${reason}`, { cause, details, ...(node && { hint }) });
}

const NODE_PATTERNS: readonly RegExp[] = [
  /while running (?<operator>\S+) node\. Name:'(?<name>[^']*)'/,
  /Could not find an implementation for (?<operator>[^\s(]+)\(\d+\) node with name '(?<name>[^']*)'/,
  // What a provider that is no CPU leaves nobody has.
  /Provider type for (?<operator>\S+) node with name '(?<name>[^']*)' is not set/,
  /In Node, \("(?<name>[^"]*)", (?<operator>[^\s,]+), "(?<domain>[^"]*)"/,
  /(?<domain>[^\s:]*):(?<operator>[^\s:(]+)\(-?\d+\) is not a registered function/,
];

function nodeOf(said: string): FoundNode | undefined {
  for (const pattern of NODE_PATTERNS) {
    const { operator, name = '', domain = '' } = pattern.exec(said)?.groups ?? {};
    if (operator !== undefined) return { name, operator: domain === '' ? operator : `${domain}.${operator}` };
  }
  return undefined;
}

function described({ name, operator }: FoundNode): string {
  return name === '' ? `a node (${operator})` : `node ${quoted(name)} (${operator})`;
}

function refusalOf(said: string, provider: ProviderName): string | undefined {
  const places = provider === 'cpu' ? '' : ', nor has the CPU';
  if (/Could not find an implementation|Provider type for .* is not set/.test(said))
    return `${provider} has no kernel for it with its types${places}`;
  if (/No Op registered|is not a registered function/.test(said)) return 'onnxruntime knows no such operator';
  return undefined;
}

/** What follows the node, which is named already. */
function reasonOf(said: string): string {
  return said.replace(/^.*? Status Message: /, '').replace(/^\S+\.(?:cc|h):\d+ /, '');
}

function askedFor(cause: unknown): string {
  const bytes = /requested buffer of size (\d+)/.exec(String(cause))?.[1];
  return bytes === undefined ? '' : `, ${Math.ceil(Number(bytes) / 1e6)} MB more were asked for`;
}
