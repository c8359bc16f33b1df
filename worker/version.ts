/**
 * @file Which version of the workflows' code a worker serves, for Temporal's Worker Deployments. Only workflow tasks are
 * versioned: searches and calls of the store keep to contracts by name, so that any worker can take them.
 */
import type { WorkerDeploymentOptions } from '@temporalio/worker';

export const DEFAULT_DEPLOYMENT = 'referee';

export interface WorkerVersion {
  readonly deploymentName: string;
  /** Names the code: a release, a commit. */
  readonly buildId: string;
}

const BUILD_ID = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$/;
const DEPLOYMENT = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

export function isBuildId(text: string): boolean {
  return BUILD_ID.test(text);
}

export function isDeploymentName(text: string): boolean {
  return DEPLOYMENT.test(text);
}

/** The default is for runs and their pages, which live for days: they go on with new code. Items name their own. */
export function deploymentOptions(version: WorkerVersion): WorkerDeploymentOptions {
  return { version, useWorkerVersioning: true, defaultVersioningBehavior: 'AUTO_UPGRADE' };
}

/** Said when a versioned worker is ready: it gets no work before somebody has made its version the current one. */
export function versionNote({ deploymentName, buildId }: WorkerVersion): string {
  const command = `temporal worker deployment set-current-version --deployment-name ${deploymentName} --build-id ${buildId}`;
  return `serves workflows as version ${buildId} of ${deploymentName}, which must be the current one: ${command}`;
}
