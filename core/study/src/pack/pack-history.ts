import type { EpochRecord, TrialRecord } from '../store/records.js';

/** Significant digits of epochs before the last. */
const DIGITS = 6;

/** The history of a trial, names once; null where an epoch does not have the metric. */
interface Columns {
  readonly epochs: readonly number[];
  readonly columns: Readonly<Record<string, readonly (number | null)[]>>;
}

/** A trial with its history in columns, rounded but for the last epoch. */
export function packHistory(trial: TrialRecord): TrialRecord {
  if (!('result' in trial)) return trial;
  const last = trial.result.history.length - 1;
  const rounded = trial.result.history.map((each, i) => (i === last ? each : round(each)));
  return { ...trial, result: { ...trial.result, history: toColumns(rounded) as never } };
}

export function unpackHistory(trial: TrialRecord): TrialRecord {
  if (!('result' in trial) || Array.isArray(trial.result.history)) return trial;
  const { epochs, columns } = trial.result.history as unknown as Columns;
  const history = epochs.map((epoch, i) => {
    const all = Object.entries(columns).map(([name, values]) => [name, values[i]!] as const);
    return { epoch, metrics: Object.fromEntries(all.filter(([, value]) => value !== null)) };
  });
  return { ...trial, result: { ...trial.result, history } };
}

function toColumns(history: readonly EpochRecord[]): Columns {
  const names = [...new Set(history.flatMap(({ metrics }) => Object.keys(metrics)))];
  const column = (name: string) => history.map(({ metrics }) => metrics[name] ?? null);
  return {
    epochs: history.map(({ epoch }) => epoch),
    columns: Object.fromEntries(names.map((name) => [name, column(name)])),
  };
}

function round({ epoch, metrics }: EpochRecord): EpochRecord {
  const shorten = (value: number) =>
    Number.isFinite(value) ? Number(value.toPrecision(DIGITS)) : value;
  const entries = Object.entries(metrics).map(([name, value]) => [name, shorten(value)] as const);
  return { epoch, metrics: Object.fromEntries(entries) };
}
