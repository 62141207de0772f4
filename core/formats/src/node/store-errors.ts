import { EspalierError, fileError } from '@espalier/base';

/**
 * Runs work on the files of a folder. Errors of the system, also those that a store of checkpoints throws,
 * become an error with the code `code` and the problem `cannot <doing>`.
 */
export async function withStoreErrors<T>(
  code: string,
  doing: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const ours = error instanceof EspalierError ? error : undefined;
    if (ours && ours.code !== 'checkpoint/store') throw ours;
    throw fileError(code, `cannot ${doing}`, ours ? ours.parts.cause : error);
  }
}
