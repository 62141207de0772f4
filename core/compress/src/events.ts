/** The stages of {@link compressFile}, in order. */
export type CompressStage = 'reading' | 'compressing' | 'measuring' | 'writing';

/** What happens during a compression. */
export type CompressEvent =
  | { readonly type: 'stage-start'; readonly stage: CompressStage }
  | { readonly type: 'stage-end'; readonly stage: CompressStage; readonly seconds: number }
  /** A part of long work is done. */
  | {
      readonly type: 'progress';
      readonly what: string;
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: 'warning'; readonly message: string }
  /** Something to know that is nothing wrong: a run goes on. */
  | { readonly type: 'note'; readonly message: string }
  /** A result misses the target by the factor `miss` > 1; the next attempt asks the plugins for more. */
  | { readonly type: 'retry'; readonly miss: number };

/** Receives the events. */
export type OnCompressEvent = (event: CompressEvent) => void;
