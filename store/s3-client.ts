/**
 * @file The AWS SDK, loaded when the first call to a bucket is made. Credentials, region and endpoint come from where all
 * programs with this SDK take them: variables, profiles, roles. Repeating and time limits are ours (s3-store.ts).
 */
import type * as Sdk from '@aws-sdk/client-s3';

import { RefereeError } from '../errors.ts';

export interface S3Settings {
  /** Of an S3-alike; default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else Amazon's. */
  readonly endpoint?: string;
  /** Default: AWS_REGION or the profile's, else us-east-1, which S3-alikes take. */
  readonly region?: string;
  /** The bucket in the path, not in the host's name. Default: where an endpoint is set. */
  readonly pathStyle?: boolean;
}

export interface S3Client {
  readonly sdk: typeof Sdk;
  readonly client: Sdk.S3Client;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Above what one process asks at a time, so that no call waits for a socket. */
const SOCKETS = 128;
const CONNECT_MS = 5000;
const silent = (): void => undefined;
/** The SDK writes to the console where none is given. */
const NO_LOG = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

export async function openS3Client(settings: S3Settings, variables: Variables = process.env): Promise<S3Client> {
  // Node 20 is what we promise; the SDK's advice to upgrade would stand between the lines of every command.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const sdk = await import('@aws-sdk/client-s3');
  const endpoint = settings.endpoint ?? endpointOf(variables);
  // The text itself may hold a password.
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(endpoint)) {
    throw new RefereeError('InvalidStore', 'endpoint of S3: expected http://host:port or https://host', {
      hint: 'set AWS_ENDPOINT_URL_S3 to the URL of the server, or unset it for Amazon',
    });
  }
  const create = (region: string | undefined): Sdk.S3Client =>
    new sdk.S3Client({
      ...(region !== undefined && { region }),
      ...(endpoint !== undefined && { endpoint }),
      forcePathStyle: settings.pathStyle ?? endpoint !== undefined,
      followRegionRedirects: endpoint === undefined,
      maxAttempts: 1,
      // Ours are SHA-256 and always sent; the SDK's check of responses does not notice a body that was cut.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        httpAgent: { keepAlive: true, maxSockets: SOCKETS },
        httpsAgent: { keepAlive: true, maxSockets: SOCKETS },
      },
      logger: NO_LOG,
    });
  const client = create(settings.region);
  try {
    await client.config.region();
    return { sdk, client };
  } catch {
    return { sdk, client: create('us-east-1') };
  }
}

/** For messages: scheme, host and port of the server that is asked, without what a URL may hold besides. */
export function endpointText(variables: Variables = process.env): string {
  const endpoint = endpointOf(variables);
  if (endpoint === undefined) return 'Amazon S3';
  return URL.canParse(endpoint) ? new URL(endpoint).origin : 'an endpoint that is no URL';
}

/** By the rules of the SDKs: the variable of the service is stronger, and both can be switched off. */
export function endpointOf(variables: Variables): string | undefined {
  if (variables['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true') return undefined;
  return [variables['AWS_ENDPOINT_URL_S3'], variables['AWS_ENDPOINT_URL']].find(
    (url) => url !== undefined && url !== '',
  );
}
