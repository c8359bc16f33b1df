import { describe, expect, test } from 'vitest';

import { sessionOptions } from '../../../models/runtime/session-settings.ts';

const SETTINGS = { provider: 'cpu', threads: 1 } as const;

describe('options of a session', () => {
  test.each([
    ['fast', true],
    ['small', false],
  ] as const)('memory %s: an arena is %s, a second block by pattern never taken', (memory, hasArena) => {
    const options = sessionOptions({ ...SETTINGS, memory });
    expect(options).toMatchObject({ enableCpuMemArena: hasArena, enableMemPattern: false });
  });

  test('the provider that was asked for is the only one, with as many threads as were asked for', () => {
    const options = sessionOptions({ ...SETTINGS, threads: 3, memory: 'fast' });
    expect(options).toMatchObject({ executionProviders: ['cpu'], intraOpNumThreads: 3, interOpNumThreads: 1 });
  });
});
