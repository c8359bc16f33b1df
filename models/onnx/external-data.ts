/**
 * @file Where weights outside the model file lie. onnxruntime takes a location relative to a folder that the session
 * names; a location may never lead out of that folder. Paths are text here: this room touches no file system.
 */
import { RefereeError, quoted } from '../../errors.ts';

/** An absolute path as a location below the folder `root`. */
export function externalLocation(file: string, root: string): string {
  const segments = segmentsOf(file);
  const prefix = segmentsOf(root);
  const isBelow = prefix.every((segment, at) => segments[at] === segment) && segments.length > prefix.length;
  if (!file.startsWith('/') || !root.startsWith('/') || !isBelow || segments.includes('..')) {
    throw new RefereeError('InvalidModel', `weights ${quoted(file)} lie outside the folder ${quoted(root)}`);
  }
  return segments.slice(prefix.length).join('/');
}

/**
 * The absolute path of a location that a model names, if it stays inside `folder`.
 *
 * @throws RefereeError `InvalidModel` for an absolute location, one with "..", or one with characters no file name has
 */
export function resolveLocation(location: string, folder: string, where: string): string {
  const isAbsolute = /^([/\\]|[A-Za-z]:)/.test(location);
  const segments = location.split(/[/\\]/);
  if (location === '' || isAbsolute || segments.includes('..') || location.includes('\0')) {
    throw new RefereeError(
      'InvalidModel',
      `${where}: external data at ${quoted(location)}, expected a file inside the model's folder`,
    );
  }
  const kept = segments.filter((segment) => segment !== '' && segment !== '.');
  return `${folder.replace(/\/+$/, '')}/${kept.join('/')}`;
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '' && segment !== '.');
}
