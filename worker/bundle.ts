/**
 * @file The code of the workflows as one file, as workers load it: built with the package, or on the fly from sources.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { bundleWorkflowCode } from '@temporalio/worker';
import type { WorkflowBundleOption } from '@temporalio/worker';

/** Beside `workflows/index.js` in the built package; there is none beside the sources. */
const BUILT = fileURLToPath(new URL('../workflows/bundle.js', import.meta.url));

/** `folder`: of `index.ts` or `index.js`. */
export async function bundleWorkflows(folder: URL = new URL('../workflows/', import.meta.url)): Promise<string> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL(`index.${extension}`, folder)),
    logger: SILENT,
  });
  return code;
}

export async function workflowBundle(): Promise<WorkflowBundleOption> {
  return existsSync(BUILT) ? { codePath: BUILT } : { code: await bundleWorkflows() };
}

const nothing = (): void => undefined;
/** Its errors are thrown as well. */
const SILENT = { log: nothing, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
