import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { itemsOf } from '../../../activities/items.ts';
import { readInput } from '../../../cli/input/read.ts';
import type { Input } from '../../../cli/input/read.ts';
import { temporaryFolder } from '../../support/folder.ts';

const noStdin = Readable.from([]);

async function read(content: string | Uint8Array, name = 'p.jsonl'): Promise<Input> {
  const file = join(await temporaryFolder(), name);
  await writeFile(file, content);
  const input = await readInput(file, { stdin: noStdin });
  const records = input.records.map((record) => ({ ...record, origin: { file: name, line: record.origin!.line } }));
  return { ...input, records };
}

/** The message without the folder. */
async function complaint(content: string | Uint8Array, name = 'p.jsonl'): Promise<string> {
  const error: unknown = await read(content, name).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'InvalidInput' });
  const { message } = error as Error;
  expect(message).not.toContain('\n');
  return message.replace(/^.*\/(p\.\w+)/, '$1');
}

const prompts = (input: Input): string[] => input.records.map(({ prompt }) => prompt);

describe('the argument', () => {
  test('is a prompt unless it names a file', async () => {
    const input = await readInput('a red circle', { stdin: noStdin });
    expect(input).toMatchObject({ source: 'prompt', isFile: false, records: [{ prompt: 'a red circle' }] });
    expect(input.records[0]).not.toHaveProperty('origin');
  });

  test('may be longer than any path', async () => {
    expect(prompts(await readInput('a '.repeat(6000), { stdin: noStdin }))).toHaveLength(1);
  });

  test.each(['', ' ', '\t\n', '\u00a0', '\u3000'])('is not a blank prompt: %j', async (text) => {
    await expect(readInput(text, { stdin: noStdin })).rejects.toMatchObject({
      code: 'InvalidInput',
      message: expect.stringContaining('"prompt": expected a description of the image') as string,
    });
  });

  test('with the extension of a prompt file must be there', async () => {
    await expect(readInput('gone.jsonl', { stdin: noStdin })).rejects.toThrow(
      'gone.jsonl: expected a file of prompts, found no such file',
    );
  });

  test('is not a folder', async () => {
    const folder = join(await temporaryFolder(), 'p.txt');
    await mkdir(folder);
    await expect(readInput(folder, { stdin: noStdin })).rejects.toThrow('expected a file of prompts, found a folder');
  });

  test.each([
    ['a red circle\n# no\n\na cross\n', ['a red circle', 'a cross']],
    ['{"prompt":"a red circle"}\n', ['a red circle']],
  ])('- reads standard input, of either format', async (text, expected) => {
    expect(prompts(await readInput('-', { stdin: Readable.from([Buffer.from(text)]) }))).toEqual(expected);
  });

  test('of an existing file without a known extension is read by its content', async () => {
    const file = join(await temporaryFolder(), 'prompts');
    await writeFile(file, '{"prompt":"a cross","seed":3}');
    expect((await readInput(file, { stdin: noStdin })).records).toMatchObject([{ prompt: 'a cross', seeds: [3] }]);
    await expect(readInput(file, { stdin: noStdin, format: 'text' })).resolves.toMatchObject({
      records: [{ overrides: {} }],
    });
  });
});

describe('text files', () => {
  test('byte order mark, line ends of any system, comments, blank lines, no last newline', async () => {
    const input = await read('\uFEFFa red circle\r\n\r\n  # comment\r\n  a cross  \n#x\nlast', 'p.txt');
    expect(input.records.map(({ prompt, origin }) => [prompt, origin!.line])).toEqual([
      ['a red circle', 1],
      ['a cross', 4],
      ['last', 6],
    ]);
  });

  test.each([
    ['', 'found none in 0 bytes'],
    ['# only\n\n', 'found none in 8 bytes'],
    [
      'a red\u0000circle',
      'p.txt:1: "prompt": expected text, found the control character or half of a character U+0000',
    ],
    [
      'ok\na \u001B[31mred circle',
      'p.txt:2: "prompt": expected text, found the control character or half of a character U+001B',
    ],
    [`ok\n${'x'.repeat(16_385)}`, 'p.txt:2: "prompt": expected at most 16384 bytes, found 16385'],
  ])('%#: one line says what is wrong', async (text, message) => {
    expect(await complaint(text, 'p.txt')).toContain(message);
  });

  test('exactly 16 KB are fine', async () => {
    expect(prompts(await read('é'.repeat(8192), 'p.txt'))[0]).toHaveLength(8192);
  });

  test.each([
    [
      'latin-1',
      Buffer.from('ok\nein gr\xfcner Kreis\nok\n', 'latin1'),
      'p.txt:2: byte 7 of the line: expected UTF-8, found 0xfc',
    ],
    ['UTF-16', Buffer.from('\uFEFFa red circle', 'utf16le'), 'p.txt:1: byte 1 of the line: expected UTF-8, found 0xff'],
    [
      'cut off',
      Buffer.concat([Buffer.from('a\nb'), Buffer.from('é').subarray(0, 1)]),
      'p.txt:2: byte 2 of the line: expected UTF-8, found 0xc3',
    ],
  ])('that are not UTF-8 (%s): line and byte', async (_name, bytes, message) => {
    expect(await complaint(bytes, 'p.txt')).toBe(message);
  });

  test('any bytes are either read or refused with one line', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.constantFrom('p.txt', 'p.jsonl'), async (bytes, name) => {
        const outcome = await readInput('-', {
          stdin: Readable.from([Buffer.from(bytes)]),
          format: name === 'p.txt' ? 'text' : 'jsonl',
        }).catch((e: unknown) => e);
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'InvalidInput' });
      }),
    );
  });
});

describe('records', () => {
  test('every field', async () => {
    const line = {
      prompt: ' a cross ',
      id: '../../x',
      seeds: [1, 2, 1],
      width: 64,
      steps: 10,
      zNoise: 0.5,
      negative: 'blurry',
      tags: ['fruit'],
      metadata: { row: 17 },
    };
    const { records } = await read(`${JSON.stringify(line)}\n\n{"prompt":"b","seed":0}`);
    expect(records).toEqual([
      {
        prompt: ' a cross ',
        id: '../../x',
        seeds: [1, 2],
        width: 64,
        tags: ['fruit'],
        metadata: { row: 17 },
        overrides: { steps: 10, zNoise: 0.5, negative: 'blurry' },
        origin: { file: 'p.jsonl', line: 1 },
      },
      { prompt: 'b', seeds: [0], overrides: {}, tags: [], metadata: {}, origin: { file: 'p.jsonl', line: 3 } },
    ]);
  });

  test.each([
    ['{"prompt":"a"}\n{"prompt":"b",}', 'p.jsonl:2: expected one JSON object, found at column 15 "}"'],
    ['{"prompt":"a"', 'p.jsonl:1: expected one JSON object, found at column 14 the end of the line'],
    ['[1]', 'p.jsonl:1: "record": expected an object, found [1]'],
    ['"a"', 'p.jsonl:1: "record": expected an object, found "a"'],
    ['{}', 'p.jsonl:1: "prompt": expected text, found nothing'],
    ['{"prompt":7}', 'p.jsonl:1: "prompt": expected text, found 7'],
    ['{"prompt":" "}', 'p.jsonl:1: "prompt": expected a description of the image, found " "'],
    [
      '{"prompt":"\\ud800"}',
      'p.jsonl:1: "prompt": expected text, found the control character or half of a character U+D800',
    ],
    ['{"prompt":"a","step":3}', 'p.jsonl:1: unknown field "step": did you mean "steps"?'],
    ['{"prompt":"a","__proto__":3}', 'p.jsonl:1: unknown field "__proto__"'],
    ['{"prompt":"a","steps":"3oo"}', 'p.jsonl:1: "steps": expected a whole number from 1 to 10000, found "3oo"'],
    ['{"prompt":"a","steps":0}', 'p.jsonl:1: "steps": expected a whole number from 1 to 10000, found 0'],
    ['{"prompt":"a","steps":1e99}', 'p.jsonl:1: "steps": expected a whole number from 1 to 10000, found 1e+99'],
    ['{"prompt":"a","guidance":null}', 'p.jsonl:1: "guidance": expected a number from 0 to 1000, found null'],
    ['{"prompt":"a","seed":-1}', 'p.jsonl:1: "seed": expected a whole number from 0 to 9007199254740991, found -1'],
    ['{"prompt":"a","seeds":[]}', 'p.jsonl:1: "seeds": expected a list of 1 to 1000000 seeds, found []'],
    [
      '{"prompt":"a","seeds":[1,"2"]}',
      'p.jsonl:1: "seeds.1": expected a whole number from 0 to 9007199254740991, found "2"',
    ],
    ['{"prompt":"a","seed":1,"seeds":[1]}', 'p.jsonl:1: "seeds": expected either "seed" or "seeds", found both'],
    ['{"prompt":"a","id":"x\\ny"}', 'p.jsonl:1: "id": expected text of 1 to 200 printable characters, found "x\\ny"'],
    ['{"prompt":"a","id":""}', 'p.jsonl:1: "id": expected text of 1 to 200 printable characters, found ""'],
    ['{"prompt":"a","tags":"x"}', 'p.jsonl:1: "tags": expected a list of texts, found "x"'],
    ['{"prompt":"a","metadata":[]}', 'p.jsonl:1: "metadata": expected an object, found []'],
    [
      '{"prompt":"a","id":"k"}\n\n{"prompt":"b","id":"k"}',
      'p.jsonl:3: "id": expected a name that no other line has, found "k" of line 1',
    ],
  ])('%s', async (text, message) => {
    expect(await complaint(text)).toBe(message);
  });

  test('an error carries its place for programs', async () => {
    const error: unknown = await read('{"prompt":"a"}\n{"prompt":"b","step":3}').catch((e: unknown) => e);
    expect(error).toMatchObject({
      details: { field: 'step', line: 2 },
      hint: 'fields of your own belong into "metadata"',
    });
  });
});

describe('lines of other batch services', () => {
  const line = (value: unknown): string => JSON.stringify(value);

  test('OpenAI images', async () => {
    const body = { model: 'gpt-image-1', prompt: 'a cross', n: 3, size: '64x64', quality: 'high', seed: 5 };
    const { records } = await read(line({ custom_id: 'r-1', method: 'POST', url: '/v1/images/generations', body }));
    expect(records).toMatchObject([
      { id: 'r-1', prompt: 'a cross', seeds: [5, 6, 7], width: 64, height: 64, overrides: {} },
    ]);
  });

  test('OpenAI chat, with options of ours in the body', async () => {
    const messages = [
      { role: 'system', content: 'draw' },
      { role: 'user', content: 'a cross' },
      { role: 'assistant', content: 'no' },
    ];
    const { records } = await read(
      line({ custom_id: 'r-1', body: { model: 'm', messages, max_tokens: 5, steps: 20 } }),
    );
    expect(records).toMatchObject([{ id: 'r-1', prompt: 'a cross', overrides: { steps: 20 } }]);
  });

  test('Anthropic', async () => {
    const messages = [{ role: 'user', content: [{ type: 'text', text: 'a cross' }, { type: 'image' }] }];
    const { records } = await read(line({ custom_id: 'r-1', params: { model: 'm', max_tokens: 5, messages } }));
    expect(records).toMatchObject([{ id: 'r-1', prompt: 'a cross' }]);
  });

  test.each([
    [{ custom_id: 'x' }, '"body": expected an object with the prompt'],
    [{ custom_id: 'x', params: 3 }, '"params": expected an object with the prompt'],
    [{ custom_id: 'x', body: {} }, '"prompt": expected text, found nothing'],
    [
      { custom_id: 'x', body: { messages: [{ role: 'system', content: 'a' }] } },
      '"body.messages": expected a message of the user with text',
    ],
    [{ custom_id: 'x', body: { prompt: 'a', sise: '64x64' } }, 'unknown field "sise"'],
    [{ custom_id: 'x', body: { prompt: 'a', size: 'large' } }, '"body.size": expected text such as "64x64"'],
    [{ custom_id: 'x', body: { prompt: 'a', n: 0 } }, '"body.n": expected a whole number from 1 to 1000'],
    [{ custom_id: 7, body: { prompt: 'a' } }, '"id": expected text of 1 to 200 printable characters, found 7'],
  ])('%j', async (value, message) => {
    expect(await complaint(line(value))).toContain(`p.jsonl:1: ${message}`);
  });
});

describe('items', () => {
  const pack = { name: 'shapes', size: { width: 64, height: 64 } };
  const options = { seeds: [0], overrides: { steps: 30, cutouts: 2 }, pack };

  test('one per seed, in order; fields of a record are stronger than flags', async () => {
    const { records } = await read('{"prompt":"a","seeds":[2,1],"steps":10,"id":"k"}\n{"prompt":"b"}');
    const items = itemsOf(records, { ...options, seeds: [7, 8] });
    expect(items.map(({ index, prompt, seed, overrides }) => [index, prompt, seed, overrides])).toEqual([
      [0, 'a', 2, { steps: 10, cutouts: 2 }],
      [1, 'a', 1, { steps: 10, cutouts: 2 }],
      [2, 'b', 7, { steps: 30, cutouts: 2 }],
      [3, 'b', 8, { steps: 30, cutouts: 2 }],
    ]);
    expect(items[0]).toMatchObject({ id: 'k', origin: { line: 1 } });
  });

  test.each([
    [
      '{"prompt":"a"}\n{"prompt":"b","width":512}',
      'p.jsonl:2: "width": expected 64, the size of pack shapes, found 512',
    ],
    ['{"prompt":"a","height":8}', 'p.jsonl:1: "height": expected 64, the size of pack shapes, found 8'],
  ])('another size than that of the pack names its line: %s', async (text, message) => {
    const { records } = await read(text);
    expect(() => itemsOf(records, options)).toThrow(message);
  });
});
