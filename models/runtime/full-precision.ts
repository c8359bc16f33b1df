/**
 * @file Products in float32 where a GPU's libraries would round: cuBLAS and cuDNN, as onnxruntime calls them, multiply float32
 * with the 10 bits of TF32 on NVIDIA GPUs since Ampere. Gradients are then off by 1e-4 to 8e-3 of their largest value, all of
 * them outside what `models check` allows, and a step of these graphs is no faster for it.
 */
import type { ProviderName } from './device.ts';

/** Read by the libraries of CUDA when they are first used. onnxruntime's own option cannot be given from Node. */
const SWITCH = 'NVIDIA_TF32_OVERRIDE';

/**
 * To be called before a device is opened, in the main thread: what other threads set in their environment, libraries do not
 * see. A value that is set already is left as it is: `NVIDIA_TF32_OVERRIDE=1` chooses TF32.
 */
export function keepFullPrecision(provider: ProviderName | 'auto', environment = process.env): void {
  if (provider === 'cuda' || provider === 'tensorrt' || provider === 'auto') environment[SWITCH] ??= '0';
}
