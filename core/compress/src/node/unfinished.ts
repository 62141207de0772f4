import type { WorkStore } from '@espalier/compression';
import type { CompressOptions } from '../options.js';
import type { Plan } from '../plan.js';
import { identifyInput, WorkFolder } from './work-folder.js';

/** The folder of unfinished work of one compression; there is none before `open`. */
export class Unfinished {
  readonly #out: string;
  readonly #options: CompressOptions;
  #folder: WorkFolder | undefined;

  constructor(out: string, options: CompressOptions) {
    this.#out = out;
    this.#options = options;
  }

  /**
   * Goes on with what an earlier run left, if its input and its options were the same.
   *
   * @throws EspalierError `compress/work`.
   */
  async open(path: string, { presetHash, overrides, target }: Plan): Promise<void> {
    const { backend, onEvent } = this.#options;
    const { name, version, threads } = backend ?? {};
    const key = {
      input: await identifyInput(path),
      run: { presetHash, overrides, target, backend: { name, version, threads } },
    };
    this.#folder = await WorkFolder.open(this.#out, key, (message) =>
      onEvent?.({ type: 'note', message }),
    );
  }

  /** Room for the work on a layer's matrix. */
  matrix(layer: string): WorkStore | undefined {
    return this.#folder?.matrix(layer);
  }

  /** The result is there. */
  async remove(): Promise<void> {
    await this.#folder?.remove();
    this.#folder = undefined;
  }

  async close(): Promise<void> {
    await this.#folder?.close();
  }
}
