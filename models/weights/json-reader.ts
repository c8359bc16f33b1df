/**
 * @file A strict reader for JSON whose grammar is known in advance: the caller says what it expects next. Nothing nests
 * deeper than the caller asks, keys are unique, and every string is well-formed Unicode.
 */
import { quoted } from '../../errors.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const WHOLE_NUMBER = /(?:0|[1-9]\d*)(?![\d.eE])/y;
const LONE_SURROGATE = /\p{Surrogate}/u;

export class JsonReader {
  readonly #text: string;
  #at = 0;
  /** Throws with the reader's place in the file. */
  readonly fail: (message: string) => never;

  constructor(text: string, fail: (message: string) => never) {
    this.#text = text;
    this.fail = fail;
  }

  /** An object; `onKey` reads the value of each key. A key that comes twice is an error. */
  object(where: string, onKey: (key: string) => void): void {
    this.#expect('{', where);
    const seen = new Set<string>();
    if (this.#skip('}')) return;
    do {
      const key = this.string(`a key of ${where}`);
      if (seen.has(key)) this.fail(`${where}: key ${quoted(key)} comes twice`);
      seen.add(key);
      this.#expect(':', `${where}: key ${quoted(key)}`);
      onKey(key);
    } while (this.#skip(','));
    this.#expect('}', where);
  }

  /** An array of at most `most` whole numbers, each at least 0 and exact in a double. */
  wholeNumbers(where: string, most: number): number[] {
    this.#expect('[', where);
    const numbers: number[] = [];
    if (this.#skip(']')) return numbers;
    do {
      if (numbers.length === most) this.fail(`${where} has more than ${most} numbers`);
      numbers.push(this.#wholeNumber(where));
    } while (this.#skip(','));
    this.#expect(']', where);
    return numbers;
  }

  string(where: string): string {
    this.#expect('"', where);
    const start = this.#at - 1;
    const text = this.#text;
    let at = this.#at;
    while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
    this.#at = at + 1;
    let value: unknown;
    try {
      value = JSON.parse(text.slice(start, this.#at));
    } catch {
      value = undefined;
    }
    if (typeof value !== 'string') return this.fail(`${where}: the string at character ${start} is not valid JSON`);
    if (LONE_SURROGATE.test(value)) this.fail(`${where}: the string at character ${start} is not valid Unicode`);
    return value;
  }

  /** Nothing but white space may follow. */
  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) this.fail(`character ${this.#at} of the header: ${this.#found()} after its end`);
  }

  #wholeNumber(where: string): number {
    this.#skipSpace();
    WHOLE_NUMBER.lastIndex = this.#at;
    const match = WHOLE_NUMBER.exec(this.#text);
    if (match === null) return this.fail(`${where}: found ${this.#found()}, expected a whole number of at least 0`);
    const value = Number(match[0]);
    if (!Number.isSafeInteger(value)) this.fail(`${where}: ${quoted(match[0])} is too large, expected less than 2^53`);
    this.#at += match[0].length;
    return value;
  }

  #expect(character: string, where: string): void {
    if (!this.#skip(character)) this.fail(`${where}: found ${this.#found()}, expected ${quoted(character)}`);
  }

  #skip(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #skipSpace(): void {
    let code = this.#text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      this.#at += 1;
      code = this.#text.charCodeAt(this.#at);
    }
  }

  #found(): string {
    return this.#at < this.#text.length ? quoted(this.#text.slice(this.#at, this.#at + 20)) : 'the end of the header';
  }
}
