/**
 * @file The one error class of referee and the table of its codes. Exit codes, retry classes and hints are derived from
 * the table; an error's message is one line that says where, what was found and what was expected.
 */

interface ErrorClass {
  /** Exit code of the command line when this error ends a command. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 75 | 130;
  /** Whether the same call may succeed later, with nothing changed by the user. */
  readonly retryable: boolean;
  /** What to do about it, in general; an error may bring a more precise hint. */
  readonly hint?: string;
}

export const ERROR_CODES = {
  Internal: { exit: 1, retryable: false, hint: 'this is a bug: please report it with the command and the trace' },
  InvalidInput: { exit: 2, retryable: false },
  InvalidOption: { exit: 2, retryable: false, hint: 'referee <command> --help lists the options' },
  InvalidModel: { exit: 2, retryable: false },
  InvalidWeights: { exit: 2, retryable: false },
  InvalidPack: { exit: 2, retryable: false },
  PackNotFound: { exit: 2, retryable: false },
  InvalidCheckpoint: { exit: 2, retryable: false },
  InvalidStore: { exit: 2, retryable: false },
  StoreFull: { exit: 2, retryable: false, hint: 'free some space and run the same command again: it goes on' },
  StoreUnavailable: {
    exit: 75,
    retryable: true,
    hint: 'run the same command again when the store answers: it goes on from the last checkpoint',
  },
  ProviderNotAvailable: { exit: 2, retryable: false, hint: 'leave --provider out to let referee choose' },
  ProgramNotFound: { exit: 2, retryable: false },
  ProcessEnded: { exit: 2, retryable: false },
  NotReady: { exit: 2, retryable: false, hint: 'every finding that is an error names its fix' },
  FolderInUse: { exit: 2, retryable: false },
  UnsupportedOperator: {
    exit: 2,
    retryable: false,
    hint: 'choose another provider with --provider, or a model that does without this operator or type',
  },
  MissingGradientRule: { exit: 2, retryable: false },
  OutOfTolerance: { exit: 3, retryable: false },
  RunUnfinished: { exit: 2, retryable: true },
  RunDamaged: { exit: 3, retryable: false },
  ItemsFailed: { exit: 3, retryable: false },
  NonFinite: { exit: 3, retryable: false },
  ZeroGradient: { exit: 3, retryable: false },
  NoProgress: { exit: 3, retryable: false, hint: 'longer chunks: --chunk-seconds of referee submit' },
  WorkerLost: { exit: 3, retryable: true, hint: 'referee retry searches it again, from its last checkpoint' },
  NotFound: { exit: 4, retryable: false },
  NotPermitted: { exit: 5, retryable: false, hint: 'check the credentials that the command was given' },
  ServerUnavailable: {
    exit: 75,
    retryable: true,
    hint: 'start one with referee dev, or name another in TEMPORAL_ADDRESS',
  },
  NoWorker: { exit: 75, retryable: true, hint: 'start a worker with referee worker' },
  OtherVersion: {
    exit: 75,
    retryable: true,
    hint: 'start workers of the version that began the run, or of a later one',
  },
  DeviceLost: { exit: 75, retryable: true, hint: 'run the same command again: it goes on from the last checkpoint' },
  OutOfMemory: {
    exit: 75,
    retryable: true,
    hint: 'end other programs, or use fewer --lanes and --threads or a smaller pack, and run the same again: a search goes on from its last checkpoint',
  },
  Interrupted: { exit: 130, retryable: true },
} as const satisfies Record<string, ErrorClass>;

export type ErrorCode = keyof typeof ERROR_CODES;

const BRAND = Symbol.for('referee.error');

export interface RefereeErrorOptions {
  readonly hint?: string;
  readonly cause?: unknown;
  /** Machine-readable place of the error, for `--json`: field, file, line ... */
  readonly details?: Readonly<Record<string, string | number>>;
}

/** Every failure that referee foresees. `message` is one line without a trailing full stop. */
export class RefereeError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, string | number>>;

  constructor(code: ErrorCode, message: string, options: RefereeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    const general: ErrorClass = ERROR_CODES[code];
    this.hint = options.hint ?? general.hint;
    this.details = options.details ?? {};
    Object.defineProperty(this, BRAND, { value: true });
  }

  get exit(): number {
    return ERROR_CODES[this.code].exit;
  }

  get isRetryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }
}
Object.defineProperty(RefereeError.prototype, 'name', { value: 'RefereeError', enumerable: false });

/** True for errors of this class, also of another copy of the package. */
export function isRefereeError(error: unknown): error is RefereeError {
  return typeof error === 'object' && error !== null && BRAND in error;
}

/** What JSON leaves as it is although a terminal obeys it, or a reader takes it for the end of a line. */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A found value as an error message quotes it: JSON, cut at 80 characters, control characters escaped. */
export function quoted(value: unknown): string {
  const text =
    typeof value === 'number' || typeof value === 'bigint' || value === undefined
      ? String(value)
      : JSON.stringify(value).replaceAll(UNPRINTABLE, escaped);
  if (text.length <= 80) return text;
  // A cut string is closed, so that one sees where the value ends.
  return text.startsWith('"') ? `${text.slice(0, 76)}..."` : `${text.slice(0, 77)}...`;
}

/** Ends a `switch` over a closed set. */
export function assertNever(value: never): never {
  throw new RefereeError('Internal', `unexpected value ${quoted(value)}`);
}
