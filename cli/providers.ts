/**
 * @file The names that --provider takes.
 */
import type { ProviderName } from '../models/runtime/device.ts';

export type Provider = ProviderName | 'auto';

export const PROVIDERS = ['auto', 'cpu', 'cuda', 'tensorrt', 'webgpu', 'dml', 'coreml'] as const satisfies Provider[];
