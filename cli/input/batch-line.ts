/**
 * @file Lines of other services' batch files as records: OpenAI's `{custom_id, method, url, body}`, for images and for
 * chat, and Anthropic's `{custom_id, params}`. The name, the prompt and the seed are taken over; what only means something
 * to a language model is left out; anything else is treated as a field of a record, and so checked.
 */
import type { Origin } from '../../activities/run-contract.ts';
import { invalid } from '../../activities/records.ts';

type Fields = Record<string, unknown>;

/** Fields of those services that say nothing about an image of ours. */
const MEANINGLESS = new Set([
  ...[
    'model',
    'max_tokens',
    'max_completion_tokens',
    'temperature',
    'top_p',
    'top_k',
    'stop',
    'stop_sequences',
    'stream',
  ],
  ...['user', 'system', 'response_format', 'quality', 'style', 'background', 'moderation', 'output_format'],
]);

/** Data of other forms are given back as they are. @throws InvalidInput */
export function fromBatchLine(data: unknown, origin: Origin): unknown {
  if (!isFields(data) || !('custom_id' in data)) return data;
  const envelope = 'params' in data ? 'params' : 'body';
  const { custom_id: id, method: _method, url: _url, [envelope]: body, ...rest } = data;
  if (!isFields(body)) throw invalid(origin, envelope, 'expected an object with the prompt');
  const { messages, size, n, ...fields } = body;
  const record: Fields = {
    ...rest,
    id,
    ...Object.fromEntries(Object.entries(fields).filter(([name]) => !MEANINGLESS.has(name))),
  };
  if (!('prompt' in record) && messages !== undefined) record['prompt'] = lastUserText(messages, origin, envelope);
  if (size !== undefined) Object.assign(record, sizeOf(size, origin));
  if (n !== undefined) Object.assign(record, { seed: undefined, seeds: seedsFrom(record['seed'], n, origin) });
  return record;
}

/** The text of the last message of the user: that of earlier turns is context which an image has no use for. */
function lastUserText(messages: unknown, origin: Origin, envelope: string): string {
  const field = `${envelope}.messages`;
  const message = Array.isArray(messages)
    ? (messages.findLast((m: unknown) => isFields(m) && m['role'] === 'user') as unknown)
    : undefined;
  const content = isFields(message) ? message['content'] : undefined;
  if (typeof content === 'string') return content;
  const texts = Array.isArray(content) ? content.filter(isFields).filter(({ type }) => type === 'text') : [];
  if (texts.length === 0) throw invalid(origin, field, 'expected a message of the user with text');
  return texts.map(({ text }) => String(text)).join('\n');
}

function sizeOf(size: unknown, origin: Origin): { width?: number; height?: number } {
  if (size === 'auto') return {};
  const match = typeof size === 'string' ? /^(\d{1,5})x(\d{1,5})$/.exec(size) : null;
  if (!match) throw invalid(origin, 'body.size', 'expected text such as "64x64"');
  return { width: Number(match[1]), height: Number(match[2]) };
}

/** `n` images: consecutive seeds from the one that was asked for. */
function seedsFrom(seed: unknown, n: unknown, origin: Origin): number[] {
  const isCount = typeof n === 'number' && Number.isInteger(n) && n >= 1 && n <= 1000;
  if (!isCount) throw invalid(origin, 'body.n', 'expected a whole number from 1 to 1000');
  const first = typeof seed === 'number' ? seed : 0;
  return Array.from({ length: n }, (_, i) => first + i);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
