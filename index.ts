/**
 * @file `referee`: pictures of prompts from a program. Importing it loads no models and no runtime; the first search does.
 */
export { invert } from './activities/library/invert.ts';
export { isRefereeError, RefereeError } from './errors.ts';
