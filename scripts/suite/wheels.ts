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
}

/** One for two or three operator sets each. 1.22.0 is the last with recorded cases: later wheels make them when asked. */
export const WHEELS: readonly SuiteWheel[] = [
  wheel(
    'onnx-1.5.0-cp36-cp36m-manylinux1_x86_64.whl',
    'f6202b2b5e353f98cba793cc52d449e578cc242968e89a4c6cfc73fa2591e926',
  ),
  wheel(
    'onnx-1.8.1-cp38-cp38-manylinux2010_x86_64.whl',
    'cd18c7499162dd2c8c7e45669f2e7096012b9054b59670c26c5f1239b5c50ce4',
  ),
  wheel(
    'onnx-1.11.0-cp37-cp37m-manylinux_2_12_x86_64.manylinux2010_x86_64.whl',
    '7a2f5d6998fe79aed80fad9d4522140d02c4d29513047e335d5c5355c1ebda5e',
  ),
  wheel(
    'onnx-1.14.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
    '4b9cd91b85cfbb0d6478f4a1a0aee4d95cf8839adc48c69130a0cf8452f21db4',
  ),
  wheel(
    'onnx-1.17.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
    '4a183c6178be001bf398260e5ac2c927dc43e7746e8638d6c05c20e321f8c949',
  ),
  wheel(
    'onnx-1.20.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl',
    '2297f428c51c7fc6d8fad0cf34384284dfeff3f86799f8e83ef905451348ade0',
  ),
  wheel(
    'onnx-1.22.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl',
    '1d0a2bdb15eb2b3cb65c438f3423d9620d14fdce32f92380e6bb1b2e09568ef5',
  ),
];

function wheel(file: string, sha256: string): SuiteWheel {
  return { version: file.split('-')[1]!, file, sha256 };
}

/** Flags of `pip download` that choose this wheel, whatever machine asks: its name says what it was built for. */
function builtFor(file: string): readonly string[] {
  const [, , python, abi, platforms] = file.replace(/\.whl$/, '').split('-') as [
    string,
    string,
    string,
    string,
    string,
  ];
  const chosen = ['--python-version', python.replace(/^cp(\d)/, '$1.'), '--implementation', 'cp', '--abi', abi];
  return [...chosen, ...platforms.split('.').flatMap((platform) => ['--platform', platform])];
}

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

async function fetchWheel({ version, file, sha256 }: SuiteWheel, cache: string, data: string): Promise<void> {
  const [venv, wheels] = [join(cache, 'venv'), join(cache, 'wheels')];
  await mkdir(wheels, { recursive: true });
  if (!(await isThere(venv))) await execa('python3', ['-m', 'venv', venv], { stderr: 'inherit' });
  const python = join(venv, 'bin', 'python');
  const path = join(wheels, file);
  if (!(await isThere(path))) {
    const asked = ['--no-deps', '--only-binary=:all:', ...builtFor(file), `onnx==${version}`, '-d', wheels];
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
