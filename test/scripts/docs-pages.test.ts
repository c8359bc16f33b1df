import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { errorsPage, optionsPage } from '../../scripts/docs-pages.ts';
import { operatorsPage } from '../../scripts/operators-page.ts';

test.each([
  ['options.md', optionsPage],
  ['errors.md', errorsPage],
  ['operators.md', operatorsPage],
])('docs/reference/%s says what the program does now', (name, page) => {
  const written = readFileSync(new URL(`../../docs/reference/${name}`, import.meta.url), 'utf8');
  expect(written, 'run: npx tsx scripts/docs.ts').toBe(page());
});
