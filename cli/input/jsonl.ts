/**
 * @file JSON lines: one record a line, blank lines ignored. Lines of the batch files of OpenAI and Anthropic are mapped.
 */
import type { Origin } from '../../activities/run-contract.ts';
import { isRefereeError, RefereeError, quoted } from '../../errors.ts';
import { parseRecord } from '../../activities/records.ts';
import type { PromptRecord } from '../../activities/records.ts';
import { fromBatchLine } from './batch-line.ts';
import { utf8Lines } from './utf8-lines.ts';

/** @throws InvalidInput naming the line, the field, what was found and what was expected */
export function* parseJsonl(
  bytes: Uint8Array,
  file: string,
  onInvalid?: (error: RefereeError) => void,
): Generator<PromptRecord> {
  for (const { number, text } of utf8Lines(bytes, file)) {
    if (text.trim() === '') continue;
    const origin = { file, line: number };
    try {
      yield parseRecord(fromBatchLine(parseJson(text, origin), origin), origin);
    } catch (error) {
      if (!onInvalid || !isRefereeError(error)) throw error;
      onInvalid(error);
    }
  }
}

function parseJson(text: string, origin: Origin): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const position = /at position (\d+)/.exec(String(cause))?.[1];
    const at = position === undefined ? text.length : Number(position);
    const found = at >= text.length ? 'the end of the line' : quoted(text.slice(at));
    const message = `${origin.file}:${origin.line}: expected one JSON object, found at column ${at + 1} ${found}`;
    throw new RefereeError('InvalidInput', message, { cause, details: { ...origin, column: at + 1 } });
  }
}
