import { z } from 'zod';

/** A part of a run: so many epochs, or a transform by all plugins that have one, or by some. */
export type Stage = { readonly epochs: number } | { readonly transform: true | readonly string[] };

/** How far a run has come in its stages: part of its state, so that it is resumed exactly. */
export interface StageProgress {
  /** Stages that are over; a transform names its plugins. */
  readonly done: readonly Stage[];
  /** Epochs that were done when the stage under way began. */
  readonly from: number;
  /** The validation's numbers after the last transform, as those of an epoch. */
  readonly transformed: Readonly<Record<string, number>>;
}

/** What stages may be; configurations have them too. */
export const stagesShape = z
  .array(
    z
      .strictObject({
        epochs: z.int().positive().optional(),
        transform: z.union([z.literal(true), z.array(z.string().min(1))]).optional(),
      })
      .refine(({ epochs, transform }) => (epochs === undefined) !== (transform === undefined), {
        message: "must have one of epochs: 3 and transform: ['quantizer'], or true for all plugins",
      }),
  )
  .min(1);
