/**
 * @file Names that Temporal sees: workflow ids and task queues, built and parsed here only. They are made of ids of the
 * store, which are digests: nothing that a user wrote is ever part of one.
 */

/** Activities that need no device: pages, claims, outcomes, the end of a run. */
export const IO_QUEUE = 'referee.io';
/** Workflow tasks. */
export const WORKFLOW_QUEUE = 'referee.workflows';
/** The class of devices where none is named: all workers of a namespace are taken to be alike. */
export const DEFAULT_DEVICE_CLASS = 'default';

/** Items of one page workflow: at most nine events each stay well below the warning at 10 240 events. */
export const ITEMS_PER_PAGE = 500;
/** Digits of a page's number in its id. */
const PAGE_DIGITS = 5;

const DEVICE_CLASS = /^[a-z0-9-]{1,32}$/;

/** Whether a text can name a class of devices: 1 to 32 of a-z, 0-9 and "-". */
export function isDeviceClass(text: string): boolean {
  return DEVICE_CLASS.test(text);
}

/**
 * Queue of the searches of one pack on one class of devices: a worker holds one pack in memory, so a task of another must
 * never reach it.
 */
export function deviceQueue(packDigest: string, deviceClass: string = DEFAULT_DEVICE_CLASS): string {
  return `referee.gpu.${deviceClass}.${packDigest.slice(0, 8)}`;
}

export function batchId(run: string): string {
  return `batch:${run}`;
}

/** Of page `page` (from 0) in round `round` (from 0; each retry of a run is a further round). */
export function pageId(run: string, page: number, round = 0): string {
  return `page:${run}:${String(page).padStart(PAGE_DIGITS, '0')}${suffix(round)}`;
}

export function inversionId(run: string, item: string, round = 0): string {
  return `item:${run}:${item}${suffix(round)}`;
}

/** The run of a batch's workflow id; undefined for any other id. */
export function runOfBatch(workflowId: string): string | undefined {
  return /^batch:([a-z0-9-]{1,64})$/.exec(workflowId)?.[1];
}

function suffix(round: number): string {
  return round === 0 ? '' : `:r${round}`;
}
