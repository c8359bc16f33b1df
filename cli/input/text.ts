/**
 * @file Text files of prompts: one a line. Blank lines and lines that begin with `#` are ignored; nothing else is special.
 */
import { isRefereeError } from '../../errors.ts';
import type { RefereeError } from '../../errors.ts';
import { checkPrompt } from '../../activities/records.ts';
import type { PromptRecord } from '../../activities/records.ts';
import { utf8Lines } from './utf8-lines.ts';

/** @throws InvalidInput naming the line */
export function* parseText(
  bytes: Uint8Array,
  file: string,
  onInvalid?: (error: RefereeError) => void,
): Generator<PromptRecord> {
  for (const { number, text } of utf8Lines(bytes, file)) {
    const prompt = text.trim();
    if (prompt === '' || prompt.startsWith('#')) continue;
    const origin = { file, line: number };
    try {
      yield { prompt: checkPrompt(prompt, origin), overrides: {}, tags: [], metadata: {}, origin };
    } catch (error) {
      if (!onInvalid || !isRefereeError(error)) throw error;
      onInvalid(error);
    }
  }
}
