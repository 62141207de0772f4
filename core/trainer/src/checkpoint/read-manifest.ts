import { EspalierError, isPlain } from '@espalier/base';
import * as z from 'zod';
import type { RunManifest } from './run-manifest.js';

const count = z.int().nonnegative();
/** NaN and infinities too. */
const number = z.custom<number>((value) => typeof value === 'number', 'must be a number');
const numbers = z.record(z.string(), number);
const names = z.array(z.string());
const data = z.record(z.string(), z.unknown());
const clock = z.looseObject({
  epoch: count,
  step: count,
  microSteps: count,
  batchesInEpoch: count,
});
const refs = z.array(z.array(z.unknown()));
const topology = z.looseObject({
  config: z.looseObject({
    layers: z.array(
      z.looseObject({
        name: z.string(),
        className: z.string(),
        config: data,
        inboundNodes: z.array(refs),
      }),
    ),
    inputLayers: refs,
    outputLayers: refs,
  }),
  frozen: names,
});
const SCHEMA = z.looseObject({
  seed: number,
  clock,
  epoch: z.looseObject({
    sums: z.record(z.string(), z.looseObject({ sum: number, weight: number })),
    begun: z.boolean(),
  }),
  history: z.array(z.looseObject({ clock, metrics: numbers })),
  stopReason: z.string().nullable(),
  stages: z.looseObject({
    done: z.array(
      z.union([
        z.looseObject({ epochs: count }),
        z.looseObject({ transform: z.union([z.literal(true), names]) }),
      ]),
    ),
    from: count,
    transformed: numbers,
  }),
  transformed: names,
  preset: z.looseObject({
    plugins: z.record(
      z.string(),
      z.looseObject({ bind: data, origins: z.record(z.string(), z.string()) }),
    ),
    inline: names,
  }),
  backend: data,
  versions: data,
  data: z.string().nullable(),
  training: data,
  settings: z
    .looseObject({ optimizer: data, source: data, validation: z.string().nullable() })
    .optional(),
  topology: topology.nullable(),
  trainable: z.record(z.string(), z.boolean()),
  edits: z.array(
    z.looseObject({ plugin: z.string(), phase: z.enum(['setup', 'transform']), outputs: names }),
  ),
  slots: z.record(z.string(), names),
  ownSteps: z.record(z.string(), count).optional(),
  states: z.record(z.string(), z.looseObject({ version: number })),
});

/** Fields that a checkpoint has only where there is something to say. */
const OPTIONAL: readonly string[] = ['ownSteps', 'settings'];

/**
 * The manifest of a checkpoint, checked.
 *
 * @param label Names the checkpoint in errors.
 * @param now The manifest that this run would write.
 * @throws EspalierError `checkpoint/other-release` where a field is missing: the steps would be others, without an
 * error; `checkpoint/manifest` where a field is of another kind.
 */
export function readRunManifest(label: string, saved: unknown, now: RunManifest): RunManifest {
  if (!isPlain(saved)) throw invalidManifest(label, 'it is no object', saved);
  const missing = findMissing(saved, now);
  if (missing !== undefined) throw otherRelease(label, missing);
  const checked = SCHEMA.safeParse(saved);
  if (checked.success) return saved as unknown as RunManifest;
  const { path, message } = checked.error.issues[0]!;
  throw invalidManifest(label, `field '${path.join('.')}': ${message}`);
}

type Fields = Readonly<Record<string, unknown>>;

function findMissing(saved: Fields, now: RunManifest): string | undefined {
  const listMissing = (given: unknown, wanted: object) =>
    isPlain(given) ? Object.keys(wanted).filter((field) => !Object.hasOwn(given, field)) : [];
  const within = (['clock', 'epoch'] as const).flatMap((part) =>
    listMissing(saved[part], now[part]).map((field) => `${part}.${field}`),
  );
  const fields = listMissing(saved, now).filter((field) => !OPTIONAL.includes(field));
  return [...fields, ...within][0];
}

function otherRelease(label: string, missing: string): EspalierError {
  return new EspalierError('checkpoint/other-release', {
    problem: `the checkpoint in ${label} was written by another release of Espalier: it has no '${missing}'`,
    fix: 'Continue with the release that wrote it, or start a new run in another place. The checkpoint is untouched.',
  });
}

/** A manifest or tensors from which no run could go on. */
export function invalidManifest(label: string, problem: string, received?: unknown): EspalierError {
  return new EspalierError('checkpoint/manifest', {
    problem: `the checkpoint in ${label} does not hold the state of a run: ${problem}`,
    ...(received !== undefined && { received }),
    fix: 'Restore it from a copy, or start a new run in another place. The checkpoint is untouched.',
  });
}
