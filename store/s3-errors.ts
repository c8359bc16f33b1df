/**
 * @file What an S3 server, the network or the SDK has thrown, put into a few classes, and those as errors of ours. Nothing
 * of the server's own text is repeated: some servers put key ids and signatures into it.
 */
import { RefereeError, isRefereeError, quoted } from '../errors.ts';

export type FailureKind =
  | 'absent' // no such object
  | 'exists' // the condition of a write-once put did not hold
  | 'unsupported' // the server does not know what was asked
  | 'empty-range' // the range begins behind the end
  | 'no-bucket'
  | 'wrong-region'
  | 'no-credentials'
  | 'denied'
  | 'full'
  | 'transient' // may go well later
  | 'damaged' // the bytes are not those that were written
  | 'other';

export interface Failure {
  readonly kind: FailureKind;
  /** As the server or the system names it: `SlowDown`, `ECONNRESET`, `status 418`. */
  readonly code: string;
}

/** Thrown by the store itself for a body that is not whole, so that it is asked for again. */
export class DamagedBody extends Error {
  override readonly name = 'DamagedBody';
}

/** Thrown by the store itself when a call has made no progress for too long. */
export class NoProgress extends Error {
  override readonly name = 'NoProgress';
}

const BY_CODE: Readonly<Record<string, FailureKind>> = {
  NoSuchKey: 'absent',
  NotFound: 'absent', // a HEAD has no body that would say more
  PreconditionFailed: 'exists',
  NotImplemented: 'unsupported',
  InvalidRange: 'empty-range',
  NoSuchBucket: 'no-bucket',
  InvalidBucketName: 'no-bucket',
  PermanentRedirect: 'wrong-region',
  AuthorizationHeaderMalformed: 'wrong-region',
  IllegalLocationConstraintException: 'wrong-region',
  CredentialsProviderError: 'no-credentials',
  InvalidAccessKeyId: 'denied',
  SignatureDoesNotMatch: 'denied',
  ExpiredToken: 'denied',
  InvalidToken: 'denied',
  XAdminUserNotFound: 'denied', // versitygw, as 404
  QuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  XMinioAdminBucketQuotaExceeded: 'full',
  // The clock's difference is known after the first answer; the next call is signed with it.
  RequestTimeTooSkewed: 'transient',
  RequestTimeout: 'transient',
  RequestTimeoutException: 'transient',
  SlowDown: 'transient',
  OperationAborted: 'transient',
  ConditionalRequestConflict: 'transient',
  // The body did not arrive as it was sent.
  BadDigest: 'transient',
  IncompleteBody: 'transient',
  XAmzContentSHA256Mismatch: 'transient',
  XAmzContentChecksumMismatch: 'transient',
  TimeoutError: 'transient',
  NoProgress: 'transient',
  DamagedBody: 'damaged',
};

const BY_STATUS: Readonly<Record<number, FailureKind>> = {
  401: 'denied',
  403: 'denied',
  408: 'transient',
  409: 'transient', // for a write-once put: the outcome is unknown
  412: 'exists',
  416: 'empty-range',
  429: 'transient',
  501: 'unsupported',
  507: 'full',
};

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { kind: 'other', code: typeof error };
  const { status, system } = facts(error);
  const named = Object.hasOwn(BY_CODE, error.name) ? BY_CODE[error.name] : undefined;
  if (named !== undefined) return { kind: named, code: error.name };
  const code = /^[A-Za-z0-9.]{1,64}$/.test(error.name) && error.name !== 'Error' ? error.name : undefined;
  if (status !== undefined) {
    // An answer whose text broke off does not say what it is about: a 404 may mean the object or the bucket.
    const kind = BY_STATUS[status] ?? (status >= 500 || system !== undefined ? 'transient' : 'other');
    // A success whose text could not be read: it was cut.
    return { kind: status < 300 ? 'transient' : kind, code: code ?? `status ${status}` };
  }
  if (system !== undefined) return { kind: 'transient', code: system };
  return { kind: 'other', code: code ?? 'unknown' };
}

/** Whether the same call may go well later. */
export function isTransient(error: unknown): boolean {
  const { kind } = failureOf(error);
  return kind === 'transient' || kind === 'damaged';
}

export interface FailedCall {
  /** The store as messages name it. */
  readonly store: string;
  readonly verb: 'read' | 'write' | 'list' | 'delete';
  readonly attempts: number;
  /** The object's URL. */
  readonly object?: string;
}

const PERMISSIONS =
  'needed are s3:GetObject, s3:PutObject and s3:DeleteObject on the objects and s3:ListBucket on the bucket';

/** The server does not know who is asking, whatever that one may do. */
const UNKNOWN_CALLER = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'XAdminUserNotFound',
]);
const CREDENTIALS =
  'check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile or role: they are wrong or have expired';

/** One line of ours for what was thrown; errors of ours are left as they are. */
export function explained(error: unknown, { store, verb, attempts, object = store }: FailedCall): unknown {
  if (isRefereeError(error)) return error;
  const { kind, code } = failureOf(error);
  const where = `store ${quoted(store)}`;
  const cause = new Error(code);
  switch (kind) {
    case 'no-bucket':
      return new RefereeError('InvalidStore', `${where}: no such bucket (${code})`, {
        cause,
        hint: 'create the bucket, or check AWS_REGION and AWS_ENDPOINT_URL',
      });
    case 'wrong-region':
      return new RefereeError('InvalidStore', `${where}: cannot ${verb}, another region is expected (${code})`, {
        cause,
        hint: 'set AWS_REGION to the region of the bucket, and AWS_ENDPOINT_URL_S3 to a server of it',
      });
    case 'no-credentials':
      return new RefereeError('InvalidStore', `${where}: no AWS credentials found`, {
        cause,
        hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role',
      });
    case 'denied':
      return new RefereeError('InvalidStore', `${where}: cannot ${verb}, no permission (${code})`, {
        cause,
        hint: UNKNOWN_CALLER.has(code) ? CREDENTIALS : PERMISSIONS,
      });
    case 'full':
      return new RefereeError('StoreFull', `${where}: no space left, or a quota is reached (${code})`, { cause });
    case 'damaged': {
      const damage = (error as Error).message;
      return new RefereeError('InvalidStore', `${object}: is damaged: ${damage}`, { details: { damage } });
    }
    case 'transient':
      return new RefereeError('StoreUnavailable', `${where}: cannot ${verb}, tried ${attempts} times (${code})`, {
        cause,
      });
    default:
      return new RefereeError('InvalidStore', `${where}: cannot ${verb} (${code})`, { cause });
  }
}

/** What the SDK, or a socket, says beside the name. */
function facts(error: Error): { status?: number; system?: string } {
  const { $metadata, $response, code } = error as {
    $metadata?: { httpStatusCode?: unknown };
    $response?: { statusCode?: unknown };
    code?: unknown;
  };
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  return {
    ...(typeof status === 'number' && { status }),
    ...(typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,40}$/.test(code) && { system: code }),
  };
}
