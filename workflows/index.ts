/**
 * @file What is registered with Temporal, under these names.
 */
export { batch } from './batch.ts';
export { inversion } from './inversion.ts';
export { page } from './page.ts';
