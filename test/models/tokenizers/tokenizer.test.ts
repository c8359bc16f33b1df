import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';

import { openTokenizer, type Tokenizer } from '../../../models/tokenizers/tokenizer.ts';

const SHAPES = fileURLToPath(new URL('../../fixtures/shapes-tokenizer', import.meta.url));

async function folderWith(files: Record<string, unknown>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'referee-tokenizer-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}

describe('the tokenizer of the shapes world', () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await openTokenizer(SHAPES);
  });

  it('gives the ids of the function that encoded the training texts', async () => {
    const encodings = z
      .array(z.object({ text: z.string(), first: z.string(), length: z.number(), ids: z.array(z.number()) }))
      .parse(JSON.parse(await readFile(join(SHAPES, 'encodings.json'), 'utf8')));
    expect(encodings.length).toBeGreaterThan(60);
    for (const { text, first, length, ids } of encodings) {
      expect(tokenizer.encode(text, { length, first }).ids, text).toEqual(ids);
    }
  });

  it('puts start and end around the words, pads, and masks the padding', () => {
    const encoded = tokenizer.encode('a red circle', { length: 7 });
    expect(encoded).toEqual({
      ids: [2, 6, 27, 33, 3, 0, 0],
      mask: [1, 1, 1, 1, 1, 0, 0],
      tokens: ['[CLS]', 'a', 'red', 'circle', '[SEP]'],
      unknownWords: [],
      isCut: false,
      cutText: undefined,
    });
  });

  it('splits punctuation off and lowers capitals', () => {
    const encoded = tokenizer.encode('A Red CIRCLE, two squares.', { length: 20 });
    expect(encoded.tokens).toEqual(['[CLS]', 'a', 'red', 'circle', ',', 'two', 'squares', '.', '[SEP]']);
    expect(encoded.unknownWords).toEqual([]);
  });

  it('names the words it does not know, once each, in order, also those that were cut', () => {
    const encoded = tokenizer.encode('a Mauve circle and a teal mauve box', { length: 6 });
    expect(encoded.unknownWords).toEqual(['mauve', 'teal', 'box']);
    expect(encoded.ids).toEqual([2, 6, 1, 33, 13, 3]);
  });

  it('says what was cut', () => {
    expect(tokenizer.encode('a red circle and a blue square', { length: 6 })).toMatchObject({
      tokens: ['[CLS]', 'a', 'red', 'circle', 'and', '[SEP]'],
      mask: [1, 1, 1, 1, 1, 1],
      isCut: true,
      cutText: 'a blue square',
    });
    expect(tokenizer.encode('a red circle and', { length: 6 }).isCut).toBe(false);
  });

  it('puts another token first for a text decoder', () => {
    expect(tokenizer.encode('a', { length: 4, first: '[DEC]' }).ids).toEqual([4, 6, 3, 0]);
    expect(() => tokenizer.encode('a', { length: 4, first: '[NONE]' })).toThrow(
      'token "[NONE]" is not in the vocabulary',
    );
  });

  it.each([1, 0, -1, 2.5, NaN])('refuses a length of %s', (length) => {
    expect(() => tokenizer.encode('a', { length })).toThrow('expected a whole number from 2');
  });

  it('knows the most that the models take', () => {
    expect(tokenizer.maxLength).toBe(20);
  });
});

describe('a tokenizer of the kind of CLIP', () => {
  // Byte-pair encoding by hand: "cat" merges c+a, then ca+t</w>; every word ends in "</w>".
  const clip = {
    added_tokens: [
      { id: 0, content: '<|startoftext|>', special: true, normalized: true },
      { id: 1, content: '<|endoftext|>', special: true, normalized: false },
    ],
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: { Regex: '[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+' },
          behavior: 'Removed',
          invert: true,
        },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
      ],
    },
    post_processor: {
      type: 'RobertaProcessing',
      sep: ['<|endoftext|>', 1],
      cls: ['<|startoftext|>', 0],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      unk_token: '<|endoftext|>',
      continuing_subword_prefix: '',
      end_of_word_suffix: '</w>',
      vocab: {
        '<|startoftext|>': 0,
        '<|endoftext|>': 1,
        a: 2,
        c: 3,
        t: 4,
        'a</w>': 5,
        'c</w>': 6,
        't</w>': 7,
        ca: 8,
        'cat</w>': 9,
      },
      merges: ['c a', 'ca t</w>'],
    },
  };
  const config = { pad_token: '<|endoftext|>', unk_token: { content: '<|endoftext|>' }, model_max_length: 77 };

  it('merges, frames and pads with the end token', async () => {
    const tokenizer = await openTokenizer(
      await folderWith({ 'tokenizer.json': clip, 'tokenizer_config.json': config }),
    );
    const encoded = tokenizer.encode('A cat  tac', { length: 9 });
    expect(encoded.ids).toEqual([0, 5, 9, 4, 2, 6, 1, 1, 1]);
    expect(encoded.mask).toEqual([1, 1, 1, 1, 1, 1, 1, 0, 0]);
    expect(encoded.unknownWords).toEqual([]);
    expect(tokenizer.maxLength).toBe(77);
  });

  it('says what was cut, in words', async () => {
    const tokenizer = await openTokenizer(
      await folderWith({ 'tokenizer.json': clip, 'tokenizer_config.json': config }),
    );
    expect(tokenizer.encode('a cat tac cat', { length: 4 })).toMatchObject({ ids: [0, 5, 9, 1], cutText: 'tac cat' });
  });
});

describe('a tokenizer of the kind of BERT', () => {
  it('names whole words of which a piece is unknown', async () => {
    const folder = await folderWith({
      'tokenizer.json': {
        added_tokens: [{ id: 1, content: '[UNK]', special: true }],
        normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
        pre_tokenizer: { type: 'BertPreTokenizer' },
        post_processor: null,
        decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
        model: {
          type: 'WordPiece',
          unk_token: '[UNK]',
          continuing_subword_prefix: '##',
          max_input_chars_per_word: 100,
          vocab: { '[PAD]': 0, '[UNK]': 1, red: 2, '##dish': 3, box: 4 },
        },
      },
      'tokenizer_config.json': { pad_token: '[PAD]', unk_token: '[UNK]', model_max_length: 1e30 },
    });
    const tokenizer = await openTokenizer(folder);
    const encoded = tokenizer.encode('Reddish boxes: red box', { length: 7 });
    expect(encoded.ids).toEqual([2, 3, 1, 1, 2, 4, 0]);
    expect(encoded.unknownWords).toEqual(['boxes', ':']);
    expect(tokenizer.maxLength).toBeUndefined();
  });
});

describe('files that are no tokenizer are refused, naming file and field:', () => {
  const valid = { model: { type: 'WordLevel', vocab: { '[PAD]': 0, a: 1 }, unk_token: 'a' } };
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['nothing', {}, /tokenizer\.json: no such file$/],
    ['no JSON', { 'tokenizer.json': '{"model":' }, /tokenizer\.json: not valid JSON$/],
    ['no vocabulary', { 'tokenizer.json': { model: {} } }, /tokenizer\.json: model\.vocab: [^\n]+$/],
    ['odd ids', { 'tokenizer.json': { model: { vocab: { a: -1 } } } }, /tokenizer\.json: model\.vocab\.a: [^\n]+$/],
    ['no config', { 'tokenizer.json': valid }, /tokenizer_config\.json: no such file$/],
    [
      'no padding',
      { 'tokenizer.json': valid, 'tokenizer_config.json': {} },
      /tokenizer_config\.json: pad_token is missing$/,
    ],
    [
      'padding outside the vocabulary',
      { 'tokenizer.json': valid, 'tokenizer_config.json': { pad_token: '[P]' } },
      /tokenizer\.json: token "\[P\]" is not in the vocabulary$/,
    ],
    [
      'unknown rules',
      { 'tokenizer.json': { ...valid, normalizer: { type: 'Magic' } }, 'tokenizer_config.json': { pad_token: 'a' } },
      /tokenizer\.json: cannot be used: [^\n]*Magic[^\n]*$/,
    ],
  ])('%s', async (_, files, message) => {
    const opening = openTokenizer(await folderWith(files));
    await expect(opening).rejects.toMatchObject({ code: 'InvalidModel' });
    await expect(opening).rejects.toThrow(message);
  });

  it('cut short', async () => {
    const folder = await folderWith({});
    await cp(SHAPES, folder, { recursive: true });
    const whole = await readFile(join(folder, 'tokenizer.json'), 'utf8');
    await writeFile(join(folder, 'tokenizer.json'), whole.slice(0, whole.length / 2));
    await expect(openTokenizer(folder)).rejects.toThrow(/tokenizer\.json: not valid JSON$/);
  });
});
