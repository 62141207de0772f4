/** One line of the log of edits: which plugin changed the model, and when. */
export interface EditRecord {
  /** Id of the plugin that made the edit. */
  readonly plugin: string;
  /** When it was made: during setup or in a transform. */
  readonly phase: 'setup' | 'transform';
  /** Names of the model's outputs after the edit. */
  readonly outputs: readonly string[];
  /** What the plugin reports about the edit: plain JSON, e.g. bytes before and after. */
  readonly detail?: unknown;
}
