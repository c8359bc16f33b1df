/**
 * @file The Vulkan driver in software (SwiftShader) that Debian's `chromium` package brings: onnxruntime's WebGPU provider
 * runs on it without a GPU. The linker reads its variables when a process starts, so tests use it in child processes.
 */
import { existsSync } from 'node:fs';

const FOLDER = '/usr/lib/chromium';

/** Variables for a child process; undefined where the driver is not installed. */
export function softwareVulkan(): Record<string, string> | undefined {
  const driver = `${FOLDER}/vk_swiftshader_icd.json`;
  const isThere = existsSync(driver) && existsSync(`${FOLDER}/libvulkan.so.1`);
  return isThere ? { VK_ICD_FILENAMES: driver, LD_LIBRARY_PATH: FOLDER } : undefined;
}
