/** One line of the log of edits: which plugin changed the model, and when. */
export interface EditRecord {
  readonly plugin: string;
  readonly phase: 'setup' | 'transform';
  /** Names of the model's outputs after the edit. */
  readonly outputs: readonly string[];
  /** What the plugin reports about the edit: plain JSON, e.g. bytes before and after. */
  readonly detail?: unknown;
}
