import { mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { execa } from 'execa';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isRefereeError } from '../../../errors.ts';
import { DTYPES, elementCount, float32, type DType, type Tensor } from '../../../models/onnx/dtype.ts';
import { MAX_HEADER_BYTES, parseHeader } from '../../../models/weights/header.ts';
import { decodeSafetensors, openSafetensors, writeSafetensors } from '../../../models/weights/safetensors.ts';
import { assemble, newFolder, writeTemporary } from './files.ts';

const FIXTURE = fileURLToPath(new URL('../../fixtures/augment/affine-border-align0.safetensors', import.meta.url));
const CLIP = fileURLToPath(new URL('../../fixtures/clip-text/model.safetensors', import.meta.url));

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const F32_2 = entry('F32', '[2]', '[0,8]');

describe('reading', () => {
  it('finds what another implementation wrote', async () => {
    const file = await openSafetensors(CLIP);
    const raw = await readFile(CLIP);
    // The header as JavaScript reads it, and the bytes at its offsets.
    const headerBytes = Number(raw.readBigUInt64LE(0));
    const header = JSON.parse(raw.toString('utf8', 8, 8 + headerBytes)) as Record<
      string,
      { data_offsets: [number, number] }
    >;
    const names = Object.keys(header).filter((name) => name !== '__metadata__');
    expect([...file.tensors.keys()]).toEqual(names);
    for (const name of names) {
      const [begin, end] = header[name]!.data_offsets;
      const { data } = await file.read(name);
      expect(Buffer.from(data.buffer).equals(raw.subarray(8 + headerBytes + begin, 8 + headerBytes + end)), name).toBe(
        true,
      );
    }
    await file.close();
  });

  it('gives every dtype its array, at offsets that are not aligned', async () => {
    const cases: [string, DType, Tensor['data']][] = [
      ['U8', 'uint8', Uint8Array.of(7)],
      ['F64', 'float64', Float64Array.of(Math.E)],
      ['F32', 'float32', Float32Array.of(0.1)],
      ['F16', 'float16', Uint16Array.of(0x3c01)],
      ['BF16', 'bfloat16', Uint16Array.of(0x3f81)],
      ['I64', 'int64', BigInt64Array.of(-5n)],
      ['U64', 'uint64', BigUint64Array.of(2n ** 63n)],
      ['I32', 'int32', Int32Array.of(-6)],
      ['U32', 'uint32', Uint32Array.of(2 ** 31)],
      ['I16', 'int16', Int16Array.of(-7)],
      ['U16', 'uint16', Uint16Array.of(65535)],
      ['I8', 'int8', Int8Array.of(-8)],
      ['BOOL', 'bool', Uint8Array.of(1)],
    ];
    let at = 0;
    const fields = cases.map(([name, dtype]) => {
      const begin = at;
      at += DTYPES[dtype].bytes;
      return `"${name}":${entry(name, '[1]', `[${begin},${at}]`)}`;
    });
    const data = Buffer.concat(cases.map(([, , values]) => Buffer.from(values.buffer)));
    const file = await openSafetensors(await writeTemporary(assemble(`{${fields.join(',')}}`, data)));
    for (const [name, dtype, values] of cases) {
      expect(await file.read(name)).toEqual({ dtype, shape: [1], data: values });
    }
    await file.close();
  });

  it('takes scalars, tensors without elements, escaped names, metadata and padding', async () => {
    const header = `{ "__metadata__" : {"a":"b","__proto__":"c"},\n"s":${entry('F32', '[]', '[0,4]')},
      "none":${entry('I64', '[3,0]', '[4,4]')}, "t\\u00e9\\"n":${entry('U8', '[1]', '[4,5]')} }   `;
    const file = await openSafetensors(await writeTemporary(assemble(header, Uint8Array.of(0, 0, 0x80, 0x3f, 9))));
    expect(Object.entries(file.metadata)).toEqual([
      ['a', 'b'],
      ['__proto__', 'c'],
    ]);
    expect([...(await file.read('s')).data]).toEqual([1]);
    expect(await file.read('none')).toEqual({ dtype: 'int64', shape: [3, 0], data: new BigInt64Array(0) });
    expect([...(await file.read('té"n')).data]).toEqual([9]);
    await file.close();
  });

  it('reads one tensor of a file far larger than memory', async () => {
    // 64 GiB on paper: a sparse file, of which only the header and one tensor are read.
    const size = 2 ** 36;
    const header = `{"huge":${entry('F32', `[${size / 4}]`, `[0,${size}]`)},"end":${entry('U8', '[2]', `[${size},${size + 2}]`)}}`;
    const path = await writeTemporary(assemble(header));
    const handle = await open(path, 'r+');
    await handle.write(Uint8Array.of(5, 6), 0, 2, 8 + header.length + size);
    await handle.close();
    const file = await openSafetensors(path);
    expect([...(await file.read('end')).data]).toEqual([5, 6]);
    await file.close();
  });

  it('names the file and the tensor that it lacks', async () => {
    const file = await openSafetensors(FIXTURE);
    await expect(file.read('nothing')).rejects.toMatchObject({
      code: 'InvalidWeights',
      message: `${FIXTURE}: tensor "nothing" is missing`,
    });
    await file.close();
  });

  it('notices a file that becomes shorter while it is open', async () => {
    const path = await writeTemporary(assemble(`{"a":${F32_2}}`, 8));
    const file = await openSafetensors(path);
    await truncate(path, 12);
    await expect(file.read('a')).rejects.toMatchObject({ code: 'InvalidWeights' });
    await file.close();
  });

  it('refuses booleans that are neither 0 nor 1', async () => {
    const file = await openSafetensors(
      await writeTemporary(assemble(`{"a":${entry('BOOL', '[2]', '[0,2]')}}`, Uint8Array.of(1, 2))),
    );
    await expect(file.read('a')).rejects.toThrow('tensor "a": a BOOL is neither 0 nor 1');
    await file.close();
  });
});

describe('decoding', () => {
  it('gives what reading gives, also from a view into more bytes', async () => {
    const whole = await readFile(CLIP);
    const larger = new Uint8Array(whole.length + 3);
    larger.set(whole, 3);
    const { tensors, metadata } = decodeSafetensors(larger.subarray(3), 'memory');
    const file = await openSafetensors(CLIP);
    expect(metadata).toEqual(file.metadata);
    expect(Object.keys(tensors)).toEqual([...file.tensors.keys()]);
    for (const name of file.tensors.keys()) expect(tensors[name]).toEqual(await file.read(name));
    await file.close();
  });

  it('names the bytes in its errors', () => {
    expect(() => decodeSafetensors(new Uint8Array(3), 'checkpoint 7')).toThrow('checkpoint 7: file has 3 bytes');
    expect(() => decodeSafetensors(assemble(`{"a":${F32_2}}`, 7), 'checkpoint 7')).toThrow('checkpoint 7: tensor "a"');
  });
});

describe('a file that breaks a rule is refused, naming file, tensor, found and expected:', () => {
  const many = (count: number): string => {
    const one = (i: number): string => `"${i}":${entry('U8', '[1]', `[${i},${i + 1}]`)}`;
    return `{${Array.from({ length: count }, (_, i) => one(i)).join(',')}}`;
  };
  it.each<[string, Uint8Array, string]>([
    ['no bytes', new Uint8Array(0), 'file has 0 bytes, expected a safetensors file of at least 8'],
    ['a length alone, cut', new Uint8Array(7), 'file has 7 bytes, expected a safetensors file of at least 8'],
    ['length 0', assemble('', 4), 'header starts with byte none, expected "{"'],
    ['length past the end', assemble('{}', 0, 3n), 'header length is 3, but the file has 10 bytes'],
    [
      'length of 2^64 - 1',
      assemble('{}', 0, 2n ** 64n - 1n),
      'header length is 18446744073709551615, expected at most 100000000 bytes',
    ],
    [
      'length above the limit',
      assemble('{}', 0, BigInt(MAX_HEADER_BYTES + 1)),
      'header length is 100000001, expected at most 100000000 bytes',
    ],
    ['an array', assemble('[]'), 'header starts with byte 91, expected "{"'],
    ['space first', assemble(' {}'), 'header starts with byte 32, expected "{"'],
    ['no end', assemble('{'), 'a key of header: found the end of the header, expected "\\""'],
    ['more after the end', assemble('{}x'), 'character 2 of the header: "x" after its end'],
    ['a comma at the end', assemble(`{"a":${F32_2},}`, 8), 'a key of header: found "}", expected "\\""'],
    ['bad UTF-8', assemble(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), 'header is not valid UTF-8'],
    [
      'half a surrogate pair',
      assemble(`{"\\ud800":${F32_2}}`, 8),
      'a key of header: the string at character 1 is not valid Unicode',
    ],
    [
      'a control character',
      assemble(`{"\n":${F32_2}}`, 8),
      'a key of header: the string at character 1 is not valid JSON',
    ],
    ['one name twice', assemble(`{"a":${F32_2},"a":${F32_2}}`, 8), 'header: key "a" comes twice'],
    [
      'one name twice, written differently',
      assemble(`{"a":${F32_2},"\\u0061":${F32_2}}`, 8),
      'header: key "a" comes twice',
    ],
    ['metadata twice', assemble('{"__metadata__":{},"__metadata__":{}}'), 'header: key "__metadata__" comes twice'],
    ['a metadata key twice', assemble('{"__metadata__":{"a":"","a":""}}'), '__metadata__: key "a" comes twice'],
    ['a number in metadata', assemble('{"__metadata__":{"a":1}}'), '__metadata__ "a": found "1}}", expected "\\""'],
    ['metadata of another kind', assemble('{"__metadata__":null}'), '__metadata__: found "null}", expected "{"'],
    ['an empty name', assemble(`{"":${F32_2}}`, 8), 'a tensor has an empty name, expected at least one character'],
    ['a tensor that is a number', assemble('{"a":1}'), 'tensor "a": found "1}", expected "{"'],
    ['a key twice in a tensor', assemble(`{"a":{"dtype":"F32","dtype":"F32"}}`), 'tensor "a": key "dtype" comes twice'],
    [
      'an unknown key',
      assemble(`{"a":{"strides":[1]}}`),
      'tensor "a": unknown key "strides", expected dtype, shape, data_offsets',
    ],
    ['no dtype', assemble('{"a":{"shape":[],"data_offsets":[0,0]}}'), 'tensor "a": dtype is missing'],
    ['no shape', assemble('{"a":{"dtype":"F32","data_offsets":[0,0]}}'), 'tensor "a": shape is missing'],
    ['no offsets', assemble('{"a":{"dtype":"F32","shape":[]}}'), 'tensor "a": data_offsets is missing'],
    [
      'a dtype we do not read',
      assemble(`{"a":${entry('F8_E4M3', '[2]', '[0,2]')}}`, 2),
      'tensor "a": dtype "F8_E4M3" is not one that referee reads: F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL',
    ],
    [
      'a negative size',
      assemble(`{"a":${entry('F32', '[-1]', '[0,8]')}}`, 8),
      'tensor "a": shape: found "-1],\\"data_offsets\\":[", expected a whole number of at least 0',
    ],
    [
      'a broken size',
      assemble(`{"a":${entry('F32', '[1.5]', '[0,8]')}}`, 8),
      'tensor "a": shape: found "1.5],\\"data_offsets\\":", expected a whole number of at least 0',
    ],
    [
      'a size in powers',
      assemble(`{"a":${entry('F32', '[2e0]', '[0,8]')}}`, 8),
      'tensor "a": shape: found "2e0],\\"data_offsets\\":", expected a whole number of at least 0',
    ],
    [
      'a size with a leading zero',
      assemble(`{"a":${entry('F32', '[02]', '[0,8]')}}`, 8),
      'tensor "a": shape: found "02],\\"data_offsets\\":[", expected a whole number of at least 0',
    ],
    [
      'a size in quotes',
      assemble(`{"a":${entry('F32', '["2"]', '[0,8]')}}`, 8),
      'tensor "a": shape: found "\\"2\\"],\\"data_offsets\\":", expected a whole number of at least 0',
    ],
    [
      'a huge size',
      assemble(`{"a":${entry('F32', '[99999999999999999999]', '[0,8]')}}`, 8),
      'tensor "a": shape: "99999999999999999999" is too large, expected less than 2^53',
    ],
    [
      'a huge product',
      assemble(`{"a":${entry('F32', '[4294967296,4294967296]', '[0,8]')}}`, 8),
      'tensor "a": shape [4294967296,4294967296] has more elements than can be counted',
    ],
    [
      'a huge product with a zero',
      assemble(`{"a":${entry('F32', '[0,4294967296,4294967296]', '[0,0]')}}`),
      'tensor "a": shape [0,4294967296,4294967296] has more elements than can be counted',
    ],
    [
      'too many axes',
      assemble(`{"a":${entry('U8', `[${Array(65).fill(1).join(',')}]`, '[0,1]')}}`, 1),
      'tensor "a": shape has more than 64 numbers',
    ],
    [
      'one offset',
      assemble(`{"a":${entry('F32', '[2]', '[8]')}}`, 8),
      'tensor "a": data_offsets has 1 numbers, expected 2',
    ],
    [
      'three offsets',
      assemble(`{"a":${entry('F32', '[2]', '[0,8,9]')}}`, 8),
      'tensor "a": data_offsets has more than 2 numbers',
    ],
    [
      'offsets in the wrong order',
      assemble(`{"a":${entry('F32', '[2]', '[8,0]')}}`, 8),
      'tensor "a": data_offsets [8, 0] end before they begin',
    ],
    [
      'a wrong length',
      assemble(`{"a":${entry('F32', '[3]', '[0,8]')}}`, 8),
      'tensor "a": data_offsets [0, 8] hold 8 bytes, expected 12 for F32 [3]',
    ],
    [
      'data cut short',
      assemble(`{"a":${F32_2}}`, 7),
      'tensor "a": data ends at byte 70 of the file, which has 69: cut short?',
    ],
    ['data left over', assemble(`{"a":${F32_2}}`, 9), 'tensors end at byte 70, expected the end of the file, 71'],
    [
      'a gap',
      assemble(`{"a":${F32_2},"b":${entry('U8', '[1]', '[9,10]')}}`, 10),
      'tensor "b": data begins at byte 9 and leaves a gap before it, expected 8',
    ],
    [
      'an overlap',
      assemble(`{"a":${F32_2},"b":${entry('U8', '[2]', '[7,9]')}}`, 9),
      'tensor "b": data begins at byte 7 and overlaps the tensor before it, expected 8',
    ],
    [
      'two tensors in one place',
      assemble(`{"a":${F32_2},"b":${F32_2}}`, 8),
      'tensor "b": data begins at byte 0 and overlaps the tensor before it, expected 8',
    ],
    [
      'deep nesting',
      assemble('{"a":'.repeat(2_000_000)),
      'tensor "a": unknown key "a", expected dtype, shape, data_offsets',
    ],
    [
      'deep arrays',
      assemble(`{"a":{"shape":${'['.repeat(5_000_000)}`),
      'tensor "a": shape: found "[[[[[[[[[[[[[[[[[[[[", expected a whole number of at least 0',
    ],
    [
      'a million tensors',
      assemble(many(1_000_000), 1_000_000),
      'header lists more than 200000 tensors, the most that referee reads',
    ],
    [
      'a string without end',
      assemble(`{"${'\\'.repeat(5_000_000)}`),
      'a key of header: the string at character 1 is not valid JSON',
    ],
  ])('%s', async (_, bytes, message) => {
    const path = await writeTemporary(bytes);
    await expect(openSafetensors(path)).rejects.toMatchObject({
      code: 'InvalidWeights',
      message: `${path}: ${message}`,
    });
  });

  it('no file, a folder, a named pipe', async () => {
    const folder = await newFolder();
    await expect(openSafetensors(join(folder, 'none'))).rejects.toThrow(`${join(folder, 'none')}: no such file`);
    await expect(openSafetensors(folder)).rejects.toThrow(`${folder}: not a file`);
    if (process.platform !== 'win32') {
      await execa('mkfifo', [join(folder, 'pipe')]);
      await expect(openSafetensors(join(folder, 'pipe'))).rejects.toThrow('pipe: not a file');
    }
  });

  it('a real file, cut anywhere', async () => {
    const whole = await readFile(FIXTURE);
    const folder = await newFolder();
    for (let cut = 0; cut < whole.length; cut += Math.ceil(whole.length / 40)) {
      const path = join(folder, `cut-${cut}.safetensors`);
      await writeFile(path, whole.subarray(0, cut));
      await expect(openSafetensors(path), `${cut} bytes`).rejects.toMatchObject({ code: 'InvalidWeights' });
    }
  });

  it('a header of 100 MB is refused within a bound of memory', async () => {
    const folder = await newFolder();
    const path = join(folder, 'large.safetensors');
    // Three million names, all short: as many objects as a header of the greatest length can ask for.
    const script = `
      import { openSafetensors } from ${JSON.stringify(fileURLToPath(new URL('../../../models/weights/safetensors.ts', import.meta.url)))};
      await openSafetensors(process.argv[1]).catch((error) => console.log(error.code));
      console.log(process.resourceUsage().maxRSS < 1_000_000);`;
    const one = (i: number): string => `"${i}":{"dtype":"U8","shape":[],"data_offsets":[0,0]}`;
    const fields = Array.from({ length: 1_900_000 }, (_, i) => one(i)).join(',');
    await mkdir(folder, { recursive: true });
    await writeFile(path, assemble(`{${fields}}`.slice(0, MAX_HEADER_BYTES)));
    const { stdout } = await execa('node', ['--import', 'tsx', '--input-type=module', '-e', script, path]);
    expect(stdout.split('\n')).toEqual(['InvalidWeights', 'true']);
  });
});

describe('writing', () => {
  const tensors = (): Record<string, Tensor> => ({
    z: float32([1, 2, 3, 4], [2, 2]),
    flag: { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) },
    10: { dtype: 'int64', shape: [], data: BigInt64Array.of(-1n) },
  });

  it('gives the same bytes in whatever order tensors and metadata come', () => {
    const one = writeSafetensors(tensors(), { b: '2', a: '1' });
    const other = writeSafetensors(new Map(Object.entries(tensors()).reverse()), { a: '1', b: '2' });
    expect(Buffer.from(one).equals(other)).toBe(true);
  });

  it('aligns every tensor and the data as a whole', () => {
    const bytes = writeSafetensors(tensors());
    const { tensors: entries } = parseHeader(
      bytes.subarray(8, 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))),
      bytes.length,
      'f',
    );
    for (const { name, dtype, offset } of entries.values()) expect(offset % DTYPES[dtype].bytes, name).toBe(0);
    expect(new DataView(bytes.buffer).getBigUint64(0, true) % 8n).toBe(0n);
  });

  it.each<[string, Record<string, Tensor>, string]>([
    ['an empty name', { '': float32([1]) }, 'a tensor is named "", expected another name'],
    ['the reserved name', { __metadata__: float32([1]) }, 'a tensor is named "__metadata__", expected another name'],
    ['data that do not fill the shape', { a: float32([1], [2]) }, 'tensor "a": 1 elements for shape [2], expected 2'],
  ])('refuses %s', (_, named, message) => {
    expect(() => writeSafetensors(named)).toThrow(message);
  });

  const anyTensor: fc.Arbitrary<Tensor> = fc
    .tuple(
      fc.constantFrom<DType>(
        'float64',
        'float32',
        'float16',
        'bfloat16',
        'int64',
        'int32',
        'int16',
        'int8',
        'uint64',
        'uint32',
        'uint16',
        'uint8',
      ),
      fc.array(fc.nat(4), { maxLength: 3 }),
    )
    .chain(([dtype, shape]) => {
      const bytes = elementCount(shape) * DTYPES[dtype].bytes;
      return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw) => {
        const data = new DTYPES[dtype].array(new Uint8Array(raw).buffer, 0, elementCount(shape));
        return { dtype, shape, data };
      });
    });
  const anyName = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((name) => name !== '__metadata__' && !/\p{Surrogate}/u.test(name));

  it('is undone by reading, whatever the tensors', async () => {
    const folder = await newFolder();
    const path = join(folder, 'round.safetensors');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(anyName, anyTensor)),
        fc.dictionary(fc.string(), fc.string()),
        async (pairs, metadata) => {
          const written = new Map(pairs);
          await writeFile(path, writeSafetensors(written, metadata));
          const file = await openSafetensors(path);
          expect({ ...file.metadata }).toEqual({ ...metadata });
          expect([...file.tensors.keys()].sort()).toEqual([...written.keys()].sort());
          for (const [name, { dtype, shape, data }] of written) {
            const read = await file.read(name);
            expect([read.dtype, read.shape]).toEqual([dtype, shape]);
            expect(Buffer.from(read.data.buffer).equals(Buffer.from(data.buffer))).toBe(true);
          }
          await file.close();
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('a header with random damage', () => {
  const good = new TextEncoder().encode(
    `{"__metadata__":{"a":"b"},"x":${entry('F32', '[2,3]', '[0,24]')},"y\\u00e9":${entry('BOOL', '[]', '[24,25]')}}`,
  );
  const bytes = fc.oneof(fc.constantFrom(...new TextEncoder().encode('{}[]":,\\0129eE.-u ')), fc.nat(255));

  it('is read, or refused with an error of ours', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(good.length), drop: fc.nat(3), put: fc.array(bytes, { maxLength: 3 }) }), {
          minLength: 1,
          maxLength: 4,
        }),
        (edits) => {
          let damaged = [...good];
          for (const { at, drop, put } of edits)
            damaged = [...damaged.slice(0, at), ...put, ...damaged.slice(at + drop)];
          try {
            const { tensors } = parseHeader(Uint8Array.from(damaged), 8 + damaged.length + 25, 'damaged');
            const total = [...tensors.values()].reduce((sum, { length }) => sum + length, 0);
            expect(total).toBe(25);
          } catch (error) {
            if (!isRefereeError(error)) throw error;
            expect(error.code).toBe('InvalidWeights');
            expect(error.message).not.toContain('\n');
          }
        },
      ),
      { numRuns: 5000 },
    );
  });
});
