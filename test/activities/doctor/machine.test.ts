import { join } from 'node:path';

import { expect, test } from 'vitest';

import { checkMemory, checkProcessor, checkTemporary, checkVersions } from '../../../activities/doctor/machine.ts';
import { temporaryFolder } from '../../support/folder.ts';

test.each([
  ['enough', 2e9, { totalBytes: 8e9, freeBytes: 4e9 }, 'ok'],
  ['more than is free', 5e9, { totalBytes: 8e9, freeBytes: 4e9 }, 'warning'],
  ['more than there is', 9e9, { totalBytes: 8e9, freeBytes: 4e9 }, 'error'],
  ['more than the limit of the control group', 3e9, { totalBytes: 8e9, freeBytes: 4e9, limitBytes: 2e9 }, 'error'],
] as const)('memory: %s', (_, bytes, memory, state) => {
  const finding = checkMemory({ bytes, text: 'a run with 8 lanes' }, memory);
  expect(finding.state).toBe(state);
  expect(finding.found).toContain(`a run with 8 lanes needs about ${(bytes / 1e9).toFixed(1)} GB`);
  expect(finding.fix === undefined).toBe(state === 'ok');
});

test.each([
  ['enough', 9e9, 'ok'],
  ['more than there is', 12e9, 'error'],
] as const)('memory of a GPU: %s, whatever the machine has', (_, bytes, state) => {
  const need = { bytes, text: 'a run with 8 lanes', gpuBytes: 10e9 };
  const finding = checkMemory(need, { totalBytes: 8e9, freeBytes: 4e9 });
  expect(finding).toMatchObject({ state, facts: { gpuBytes: 10e9, neededBytes: bytes } });
  expect(finding.found).toContain(`needs about ${(bytes / 1e9).toFixed(1)} GB of the GPU's 10.0 GB`);
});

test('what is here is found: versions, processor, memory, temporary space', async () => {
  expect(checkVersions()).toMatchObject({ state: 'ok', facts: { node: process.versions.node } });
  expect(checkProcessor().facts).toMatchObject({ threads: expect.any(Number) as number });
  expect(checkMemory(undefined).found).toMatch(/^[\d.]+ [GM]B free of [\d.]+ GB/);
  expect((await checkTemporary()).facts).toMatchObject({ freeBytes: expect.any(Number) as number });
});

test('a temporary folder that is not there is told with what to set', async () => {
  const gone = join(await temporaryFolder(), 'gone');
  expect(await checkTemporary(gone)).toMatchObject({ state: 'warning', fix: 'set TMPDIR to a folder that is there' });
});
