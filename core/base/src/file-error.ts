import { EspalierError } from './error.js';

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Give this user write access, or choose another place.',
  EPERM: 'Give this user write access, or choose another place.',
  EROFS: 'The disk is mounted read-only: choose another place.',
  ENOSPC: 'The disk is full: free some space or choose another disk.',
  EDQUOT: 'The quota is used up: free some space or choose another disk.',
  ENOTDIR: 'A file stands where a folder must be: choose another place.',
  EEXIST: 'A file stands where a folder must be: choose another place.',
  ENOENT: 'There is no such file: check the name.',
  EISDIR: 'A folder stands where a file must be: check the name.',
  ERR_FS_FILE_TOO_LARGE:
    'Files of up to 2 GiB are read: save what is needed alone, or in fewer bits.',
};

/**
 * An error of the file system, with advice for the codes that occur often, such as `ENOSPC`.
 *
 * @param problem What could not be done: `cannot write runs/a.jsonl`.
 * @param cause What the file system threw.
 * @example
 * await writeFile(path, bytes).catch((cause: unknown) => {
 *   throw fileError('report/file', `cannot write ${path}`, cause);
 * });
 */
export function fileError(code: string, problem: string, cause: unknown): EspalierError {
  const { code: errno = 'unknown', message = String(cause) } = cause as {
    code?: string;
    message?: string;
  };
  const advice = ADVICE[errno] ?? 'Check the disk, or choose another place.';
  return new EspalierError(code, {
    problem: `${problem}: ${errno} (${message})`,
    fix: `${advice} Existing files were not changed.`,
    cause,
  });
}
