/**
 * @file The conformance suite of ONNX's own backends, as wheels of the `onnx` package carry it (Apache-2.0): fetched from
 * PyPI into a cache folder, digests checked, only the recorded cases unpacked.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { execa } from 'execa';

export interface SuiteWheel {
  readonly version: string;
  readonly file: string;
  readonly sha256: string;
  /** Flags of `pip download` that choose this wheel, whatever machine asks. */
  readonly built: { readonly python: string; readonly abi: string; readonly platforms: readonly string[] };
}

/** One for two or three operator sets each. 1.22.0 is the last with recorded cases: later wheels make them when asked. */
export const WHEELS: readonly SuiteWheel[] = [
  {
    version: '1.5.0',
    file: 'onnx-1.5.0-cp36-cp36m-manylinux1_x86_64.whl',
    sha256: 'f6202b2b5e353f98cba793cc52d449e578cc242968e89a4c6cfc73fa2591e926',
    built: { python: '3.6', abi: 'cp36m', platforms: ['manylinux1_x86_64'] },
  },
  {
    version: '1.8.1',
    file: 'onnx-1.8.1-cp38-cp38-manylinux2010_x86_64.whl',
    sha256: 'cd18c7499162dd2c8c7e45669f2e7096012b9054b59670c26c5f1239b5c50ce4',
    built: { python: '3.8', abi: 'cp38', platforms: ['manylinux2010_x86_64'] },
  },
  {
    version: '1.11.0',
    file: 'onnx-1.11.0-cp37-cp37m-manylinux_2_12_x86_64.manylinux2010_x86_64.whl',
    sha256: '7a2f5d6998fe79aed80fad9d4522140d02c4d29513047e335d5c5355c1ebda5e',
    built: { python: '3.7', abi: 'cp37m', platforms: ['manylinux_2_12_x86_64', 'manylinux2010_x86_64'] },
  },
  {
    version: '1.14.1',
    file: 'onnx-1.14.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
    sha256: '4b9cd91b85cfbb0d6478f4a1a0aee4d95cf8839adc48c69130a0cf8452f21db4',
    built: { python: '3.11', abi: 'cp311', platforms: ['manylinux_2_17_x86_64', 'manylinux2014_x86_64'] },
  },
  {
    version: '1.17.0',
    file: 'onnx-1.17.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
    sha256: '4a183c6178be001bf398260e5ac2c927dc43e7746e8638d6c05c20e321f8c949',
    built: { python: '3.11', abi: 'cp311', platforms: ['manylinux_2_17_x86_64', 'manylinux2014_x86_64'] },
  },
  {
    version: '1.20.1',
    file: 'onnx-1.20.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl',
    sha256: '2297f428c51c7fc6d8fad0cf34384284dfeff3f86799f8e83ef905451348ade0',
    built: { python: '3.11', abi: 'cp311', platforms: ['manylinux_2_27_x86_64', 'manylinux_2_28_x86_64'] },
  },
  {
    version: '1.22.0',
    file: 'onnx-1.22.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl',
    sha256: '1d0a2bdb15eb2b3cb65c438f3423d9620d14fdce32f92380e6bb1b2e09568ef5',
    built: { python: '3.11', abi: 'cp311', platforms: ['manylinux_2_27_x86_64', 'manylinux_2_28_x86_64'] },
  },
];

/** The folders of a version's cases, each with `model.onnx` and `test_data_set_*`; fetched if they are not there. */
export async function casesOf(wheel: SuiteWheel, cache: string): Promise<readonly string[]> {
  const data = join(cache, wheel.version);
  if (!(await isThere(data))) await fetchWheel(wheel, cache, data);
  const groups = (await readdir(data)).sort();
  const cases = await Promise.all(
    groups.map(async (group) => (await readdir(join(data, group))).sort().map((name) => join(data, group, name))),
  );
  return cases.flat();
}

const UNPACK = `
import os, sys, zipfile
whole, into, prefix = zipfile.ZipFile(sys.argv[1]), sys.argv[2], "onnx/backend/test/data/"
for name in whole.namelist():
    part = name[len(prefix):]
    if name.startswith(prefix) and part.split("/")[0] in ("node", "simple", "pytorch-converted", "pytorch-operator") and not name.endswith("/"):
        path = os.path.join(into, part)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(whole.read(name))
`;

async function fetchWheel({ version, file, sha256, built }: SuiteWheel, cache: string, data: string): Promise<void> {
  const [venv, wheels] = [join(cache, 'venv'), join(cache, 'wheels')];
  await mkdir(wheels, { recursive: true });
  if (!(await isThere(venv))) await execa('python3', ['-m', 'venv', venv], { stderr: 'inherit' });
  const python = join(venv, 'bin', 'python');
  const path = join(wheels, file);
  if (!(await isThere(path))) {
    const chosen = ['--python-version', built.python, '--implementation', 'cp', '--abi', built.abi];
    const platforms = built.platforms.flatMap((platform) => ['--platform', platform]);
    const asked = ['--no-deps', '--only-binary=:all:', ...chosen, ...platforms, `onnx==${version}`, '-d', wheels];
    await execa(python, ['-m', 'pip', 'download', '-q', ...asked], { stderr: 'inherit' });
  }
  const found = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  if (found !== sha256) throw new Error(`${path}: its SHA-256 is ${found}, expected ${sha256}`);
  await rm(`${data}.part`, { recursive: true, force: true });
  await execa(python, ['-c', UNPACK, path, `${data}.part`], { stderr: 'inherit' });
  await rename(`${data}.part`, data);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
