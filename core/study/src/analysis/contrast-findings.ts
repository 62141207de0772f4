import type { ContrastFamily, PlannedContrast } from '../definition/contrasts.js';
import type { ReportedMetric } from '../definition/load-study.js';
import { EQUAL_COMPUTE } from '../definition/rows.js';
import { testEquivalence } from '../statistics/equivalence.js';
import { compareRows, correctForMultipleTests } from './compare-rows.js';
import type { Comparison, ContrastFinding, FamilyFindings, RowFindings } from './findings.js';

interface Compared {
  readonly rows: readonly RowFindings[];
  readonly metrics: readonly ReportedMetric[];
  readonly complete: boolean;
  readonly smallestEffects: Readonly<Record<string, number>>;
}

/** The contrasts of a family, corrected over all of it. */
export function familyFindings(
  { name, contrasts }: ContrastFamily,
  compared: Compared,
): FamilyFindings {
  const comparisons = contrasts.map((contrast) => compare(contrast, compared));
  const corrected = correctForMultipleTests(comparisons);
  return {
    name,
    contrasts: contrasts.map((contrast, i): ContrastFinding => {
      const comparison = corrected[i]!;
      const margin = compared.smallestEffects[contrast.metric];
      const named = (row: string) => findRow(row, compared)?.row.name ?? row;
      return {
        of: named(contrast.of),
        minus: named(contrast.minus),
        metric: compared.metrics.findIndex((each) => each.name === contrast.metric),
        comparison,
        equivalence:
          margin === undefined || comparison.kind !== 'paired'
            ? null
            : testEquivalence(comparison.difference, margin),
      };
    }),
  };
}

function compare({ of, minus, metric }: PlannedContrast, compared: Compared): Comparison {
  const { metrics, complete } = compared;
  const i = metrics.findIndex(({ name }) => name === metric);
  const [one, other] = [findRow(of, compared), findRow(minus, compared)];
  if (!one || !other) return { kind: 'refused', reasons: [explainAbsence(complete)] };
  const measured = ({ row, trials, metrics: own }: RowFindings) => {
    return { row, trials, values: own[i]!.values };
  };
  return compareRows(measured(one), measured(other), metrics[i]!, complete);
}

function findRow(name: string, { rows }: Compared): RowFindings | undefined {
  return rows.find(({ row }) =>
    name === EQUAL_COMPUTE ? row.kind === 'equal-compute' : row.name === name,
  );
}

const explainAbsence = (complete: boolean): string =>
  complete
    ? 'there is no row of equal compute: no row takes longer than the base'
    : 'the study is not finished';
