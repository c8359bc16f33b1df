import { expect, test } from 'vitest';

import { notAvailable } from '../../../models/runtime/providers.ts';

test('a provider without memory for its self-test may have it later', () => {
  expect(notAvailable('cuda', 'CUDA failure 2: out of memory', ['cpu', 'cuda'])).toMatchObject({
    code: 'OutOfMemory',
    message: 'provider cuda does not start: CUDA failure 2: out of memory',
  });
});

test('a provider that lacks its library will not', () => {
  expect(notAvailable('webgpu', 'no Vulkan library (libvulkan.so.1) was found', ['cpu', 'webgpu'])).toMatchObject({
    code: 'ProviderNotAvailable',
    message:
      'provider webgpu is not available: no Vulkan library (libvulkan.so.1) was found; this build of onnxruntime knows cpu, webgpu',
  });
});
