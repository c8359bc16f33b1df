/**
 * @file Writes the reference pages that follow from the sources: options of the method, error codes, gradient rules.
 * Usage: tsx scripts/docs.ts
 */
import { writeFile } from 'node:fs/promises';

import { errorsPage, optionsPage } from './docs-pages.ts';
import { operatorsPage } from './operators-page.ts';

const folder = new URL('../docs/reference/', import.meta.url);
await writeFile(new URL('options.md', folder), optionsPage());
await writeFile(new URL('errors.md', folder), errorsPage());
await writeFile(new URL('operators.md', folder), operatorsPage());
