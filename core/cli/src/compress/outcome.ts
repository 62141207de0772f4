import type { CompressedFile } from '@espalier/compress/node';

/** A result with the texts that its page and its tables contain. */
export interface Outcome extends CompressedFile {
  /** The command without folders. */
  readonly command: string;
  readonly remarks: readonly string[];
}
