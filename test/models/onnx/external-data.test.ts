import { expect, test } from 'vitest';

import { externalLocation, resolveLocation } from '../../../models/onnx/external-data.ts';

test('a location is the path below the root', () => {
  expect(externalLocation('/models/sd/unet.safetensors', '/')).toBe('models/sd/unet.safetensors');
  expect(externalLocation('/models//sd/./unet.safetensors', '/models/sd/')).toBe('unet.safetensors');
});

test.each([
  ['/models/sd', '/models/sd'],
  ['/models/sdxl/w', '/models/sd'],
  ['/models/sd/../x', '/models/sd'],
  ['w', '/'],
  ['/w', ''],
])('%s does not lie inside %s', (file, root) => {
  expect(() => externalLocation(file, root)).toThrow('lie outside the folder');
});

test('what is written relative to a folder is found there again', () => {
  expect(resolveLocation(externalLocation('/a/b/c.bin', '/a'), '/a', 'here')).toBe('/a/b/c.bin');
  expect(resolveLocation('./x/w.bin', '/', 'here')).toBe('/x/w.bin');
});
