/**
 * @file What a test file has started ends after its last test. vitest forgets an `afterAll` that is called while hooks run, as
 * in a helper that `beforeAll` calls; hence one for all, which is there as soon as this file is imported.
 */
import { afterAll } from 'vitest';

const endings: (() => unknown)[] = [];

afterAll(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** Can be called at any time of a test file. The last that was started ends first, after the file's own hooks. */
export function afterFile(end: () => unknown): void {
  endings.push(end);
}
