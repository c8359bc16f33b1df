/**
 * @file The two server programs: what they are called, and what they are built of.
 */
import { access, constants, stat } from 'node:fs/promises';

export interface Program {
  /** As messages name it. */
  readonly name: string;
  readonly executable: string;
  /** Of the environment: a file that is used instead of all others. */
  readonly variable: string;
  /** Of Go, with the version that is built: the newest that `go install` takes. */
  readonly module: string;
  /** What building takes on two cores. */
  readonly duration: string;
  /** Whether the Temporal SDK can download it. */
  readonly isInSdk: boolean;
}

export const PROGRAMS = {
  // Later tags of the module carry a `replace`, which `go install` refuses.
  temporal: {
    name: "Temporal's server",
    executable: 'temporal',
    variable: 'TEMPORAL_CLI',
    module: 'github.com/temporalio/cli/cmd/temporal@v1.5.1',
    duration: 'about four minutes',
    isInSdk: true,
  },
  s3: {
    name: 'the S3 server',
    executable: 'versitygw',
    variable: 'VERSITYGW',
    module: 'github.com/versity/versitygw/cmd/versitygw@v1.8.0',
    duration: 'about two minutes',
    isInSdk: false,
  },
} as const satisfies Record<string, Program>;

/** The environment as far as looking and building need it. */
export interface Places {
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** `<cache>/bin` holds what was built. */
  readonly cache: string;
}

export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
