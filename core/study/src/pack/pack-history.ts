import { checkRecord } from '../store/check-record.js';
import type { HistoryColumns } from '../store/check-record.js';
import type { EpochRecord, TrialRecord } from '../store/records.js';

/** Significant digits of epochs before the last. */
const DIGITS = 6;

/** A trial with its history in columns, rounded but for the last epoch. */
export function packHistory(trial: TrialRecord): TrialRecord {
  if (!('result' in trial)) return trial;
  const last = trial.result.history.length - 1;
  const rounded = trial.result.history.map((each, i) => (i === last ? each : round(each)));
  return { ...trial, result: { ...trial.result, history: toColumns(rounded) as never } };
}

/**
 * The trial as it was before, epochs rounded.
 *
 * @throws Error for a history that no trial has.
 */
export function unpackHistory(trial: TrialRecord): TrialRecord {
  const packed = (trial as { readonly result?: { readonly history?: unknown } } | null)?.result;
  if (!packed || Array.isArray(packed.history)) return trial;
  const { epochs, columns } = checkRecord('history', packed.history);
  const history = epochs.map((epoch, i) => {
    const all = Object.entries(columns).map(([name, values]) => [name, values[i]!] as const);
    return { epoch, metrics: Object.fromEntries(all.filter(([, value]) => value !== null)) };
  });
  return { ...trial, result: { ...packed, history } } as unknown as TrialRecord;
}

function toColumns(history: readonly EpochRecord[]): HistoryColumns {
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
