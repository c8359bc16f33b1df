/**
 * @file From a prompt's text to what the models know of it: tokens for the referee, contexts for the diffusion model.
 */
import { RefereeError, quoted } from '../errors.ts';
import type { LanePrompt } from '../inversion/models.ts';
import type { MethodOptions } from '../inversion/options.ts';
import type { Pack } from '../models/packs/resolve.ts';
import type { EncodedText, Tokenizer } from '../models/tokenizers/tokenizer.ts';
import { openTokenizer } from '../models/tokenizers/tokenizer.ts';

/** A prompt as tokens, before any model has seen it. */
export interface TokenizedPrompt {
  readonly nullIds: readonly number[];
  readonly promptIds: readonly number[];
  readonly referee: EncodedText;
  readonly decoderIds: readonly number[];
  /** What was cut off because the text encoder or the referee takes no more, for a warning; usually nothing. */
  readonly cuts: readonly string[];
}

type PromptOptions = Pick<MethodOptions, 'prefix' | 'negative'>;

export class PromptTokenizer {
  readonly #pack: Pack;
  readonly #text: Tokenizer;
  readonly #referee: Tokenizer;

  private constructor(pack: Pack, text: Tokenizer, referee: Tokenizer) {
    this.#pack = pack;
    this.#text = text;
    this.#referee = referee;
  }

  static async open(pack: Pack): Promise<PromptTokenizer> {
    const { textEncoder, referee } = pack.manifest.parts;
    const text = await openTokenizer(pack.path(textEncoder.tokenizer));
    const isShared = referee.tokenizer === textEncoder.tokenizer;
    return new PromptTokenizer(pack, text, isShared ? text : await openTokenizer(pack.path(referee.tokenizer)));
  }

  /** @throws RefereeError InvalidInput for words that a pack with a closed vocabulary does not know */
  tokenize(prompt: string, { prefix, negative }: PromptOptions): TokenizedPrompt {
    const { textEncoder, referee } = this.#pack.manifest.parts;
    this.#checkWords('prompt', prompt);
    this.#checkWords('prefix', prefix);
    this.#checkWords('negative', negative);
    const nullText = this.#text.encode(negative, { length: textEncoder.tokens });
    const full = this.#text.encode(prefix + prompt, { length: textEncoder.tokens });
    const seen = this.#referee.encode(prompt, { length: referee.tokens });
    const started = this.#referee.encode(prompt, { length: referee.tokens, first: referee.decoderStart });
    const cuts = [
      ...(full.cutText === undefined ? [] : [`the text encoder does not see ${quoted(full.cutText)}`]),
      ...(seen.cutText === undefined ? [] : [`the referee does not see ${quoted(seen.cutText)}`]),
    ];
    return { nullIds: nullText.ids, promptIds: full.ids, referee: seen, decoderIds: started.ids, cuts };
  }

  #checkWords(field: string, text: string): void {
    const { name, closedVocabulary } = this.#pack.manifest;
    if (!closedVocabulary || text === '') return;
    const { unknownWords } = this.#text.encode(text, { length: 4096 });
    if (unknownWords.length === 0) return;
    const words = unknownWords.slice(0, 8).map((word) => quoted(word));
    throw new RefereeError('InvalidInput', `${field}: the pack ${quoted(name)} does not know ${words.join(', ')}`, {
      hint: `its words are in ${this.#pack.path(`${this.#pack.manifest.parts.textEncoder.tokenizer}/vocab.txt`)}`,
      details: { field },
    });
  }
}

/** What the referee sees of a text. */
interface Tokens {
  readonly referee: Pick<EncodedText, 'ids' | 'mask'>;
  readonly decoderIds: readonly number[];
}

/** Tokens and contexts together, as the search wants them. */
export function lanePrompt(tokens: Tokens, contexts: { null: Float32Array; prompt: Float32Array }): LanePrompt {
  const wholes = (values: readonly number[]): BigInt64Array => BigInt64Array.from(values, (value) => BigInt(value));
  return {
    contextNull: contexts.null,
    contextPrompt: contexts.prompt,
    refereeIds: wholes(tokens.referee.ids),
    refereeMask: wholes(tokens.referee.mask),
    decoderIds: wholes(tokens.decoderIds),
  };
}
