/**
 * @file What a run does where nothing is said.
 */

/** Searches that share calls: enough to fill vector units, few enough for a laptop's memory. */
export const DEFAULT_LANES = 8;
/** Steps between checkpoints. */
export const DEFAULT_CHECKPOINT_EVERY = 16;
