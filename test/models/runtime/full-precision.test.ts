import { expect, test } from 'vitest';

import { keepFullPrecision } from '../../../models/runtime/full-precision.ts';

test.each(['cuda', 'tensorrt', 'auto'] as const)('%s multiplies float32 as float32', (provider) => {
  const environment: Record<string, string | undefined> = {};
  keepFullPrecision(provider, environment);
  expect(environment).toEqual({ NVIDIA_TF32_OVERRIDE: '0' });
});

test('what is chosen already stays', () => {
  const environment = { NVIDIA_TF32_OVERRIDE: '1' };
  keepFullPrecision('cuda', environment);
  expect(environment).toEqual({ NVIDIA_TF32_OVERRIDE: '1' });
});

test.each(['cpu', 'webgpu'] as const)('%s asks no library of CUDA', (provider) => {
  const environment: Record<string, string | undefined> = {};
  keepFullPrecision(provider, environment);
  expect(environment).toEqual({});
});
