import { EspalierError } from '@espalier/core';

export function missingInput(path: string, cause: unknown): EspalierError {
  return new EspalierError('compress/no-input', { problem: `there is no ${path}`, cause });
}

export function unknownFolder(
  path: string,
  names: readonly string[],
  cause: EspalierError,
): EspalierError {
  return new EspalierError('compress/no-input', {
    problem: `${path} holds neither model.json nor the manifest.json of an artifact, nor matrices`,
    received: names.slice(0, 5),
    fix: `Give a folder that model.save or saveArtifact wrote, or a file of matrices. ${cause.parts.fix}`,
    cause,
  });
}

export function notUtf8(line: number, cause: unknown): EspalierError {
  return new EspalierError('compress/counts', {
    problem: `line ${line} is not text in UTF-8`,
    fix: 'Save the counts in UTF-8: words in another encoding match no vocabulary.',
    cause,
  });
}

export function invalidWordIds(received: string, length: number): EspalierError {
  return new EspalierError('compress/counts', {
    problem: `all ${length} words are numbers, so they are taken for word ids, which must be 0 to ${length - 1}, each once`,
    received,
    fix: 'Give every id, with 0 for words that never occur, or the counts alone in the order of the ids.',
  });
}

export function outputIsInput(out: string): EspalierError {
  return new EspalierError('compress/output', {
    problem: 'the result would take the place of the input',
    received: out,
    fix: 'Choose another folder for the result.',
  });
}

export function unwritableOutput(out: string, cause: Error): EspalierError {
  const problem = `cannot write to ${out}: ${cause.message}`;
  return new EspalierError('compress/output', { problem, cause });
}

export function foreignOutput(
  out: string,
  names: readonly string[],
  what = 'an artifact',
): EspalierError {
  return new EspalierError('compress/output', {
    problem: `${out} holds files that are not ${what}`,
    received: names.slice(0, 5),
    fix: 'Choose an empty or new folder for the result. Nothing was changed.',
  });
}

/** A folder stands where a file is to be written. */
export function folderAtOutput(out: string): EspalierError {
  return new EspalierError('compress/output', {
    problem: `${out} is a folder, where a file is to be written`,
    fix: 'Choose another name for the file. Nothing was changed.',
  });
}

/** A matrix that does not fit into memory, where all of it has to. */
export function tooLarge(name: string, bytes: number): EspalierError {
  return new EspalierError('compress/too-large', {
    problem: `'${name}' takes ${bytes} bytes in float32, and a matrix in memory may take ${2 ** 31}`,
    received: bytes,
    fix: 'Compress embeddings with blockCodes() (--preset block-codes), which reads them some rows at a time, or split the matrix.',
    details: { name, bytes },
  });
}
