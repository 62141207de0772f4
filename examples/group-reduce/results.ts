import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJson, writeJson } from '@espalier/core';
import { makeFolder } from '@espalier/core/node';
import type { RowResult } from './measure-row.js';

/**
 * Results of rows as files of a folder, each under a name that depends on all that decides it: a row
 * that is done is not measured again, one under other settings is.
 */
export class Results {
  constructor(
    private readonly folder: string,
    private readonly settings: object,
  ) {
    makeFolder(folder);
  }

  find(row: string, ratio: number): RowResult | undefined {
    try {
      return readJson(readFileSync(this.#path(row, ratio), 'utf8')) as RowResult;
    } catch {
      return undefined;
    }
  }

  save(result: RowResult): void {
    const path = this.#path(result.row, result.ratio);
    writeFileSync(`${path}.tmp`, `${writeJson(result, 'result', 2)}\n`);
    renameSync(`${path}.tmp`, path);
  }

  #path(row: string, ratio: number): string {
    const key = createHash('sha256').update(JSON.stringify({ ...this.settings, row, ratio }));
    const name = `${row.replaceAll(' ', '-').toLowerCase()}-${ratio}x`;
    return join(this.folder, `${name}-${key.digest('hex').slice(0, 8)}.json`);
  }
}
