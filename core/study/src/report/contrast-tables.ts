import { forestPlot, numberFormatter, table } from '@espalier/report';
import type { Block, Column, ForestPlot, Table } from '@espalier/report';
import type { ContrastFinding, FamilyFindings, Findings } from '../analysis/findings.js';
import type { EffectPlace, Equivalence } from '../statistics/equivalence.js';
import { metricFormat, toEstimate } from './metric-format.js';
import { columnFormats, pluralize } from './number-text.js';
import { hasNoSpread, NO_SPREAD } from './row-findings.js';

/** A family of contrasts: differences, p values corrected within the family, and what they say of effects that matter. */
export function contrastTable(findings: Findings, family: FamilyFindings): Table {
  const { contrasts, name } = family;
  const judged = contrasts.some(({ equivalence }) => equivalence);
  const refused = contrasts.some(({ comparison }) => comparison.kind === 'refused');
  const [unit] = listUnits(findings, family);
  const oneUnit = listUnits(findings, family).length === 1;
  const effect: Column[] = [
    { key: 'effect', label: 'Effects that matter' },
    { key: 'equivalence', label: 'p (TOST)', format: columnFormats.p },
  ];
  return table({
    title: name,
    columns: [
      { key: 'contrast', label: 'Contrast' },
      ...(hasOneMetric(family) ? [] : [{ key: 'metric', label: 'Metric' }]),
      {
        key: 'difference',
        label: `Difference, ${oneUnit ? unit! : 'in the unit of its metric'}`,
        ...(oneUnit && { format: metricFormat(findings, contrasts[0]!.metric).signed }),
      },
      { key: 'p', label: 'p', format: columnFormats.p },
      { key: 'corrected', label: 'p (Holm)', format: columnFormats.p },
      ...(judged ? effect : []),
      ...(refused ? [{ key: 'why', label: 'Not compared' }] : []),
    ],
    rows: contrasts.map((contrast) => contrastCells(findings, contrast)),
    caption: explain(findings, family),
  });
}

function contrastCells(findings: Findings, contrast: ContrastFinding) {
  const { comparison, equivalence, metric } = contrast;
  const name = findings.rows[0]!.metrics[metric]!.metric.name;
  const cells = { contrast: nameContrast(contrast), metric: name };
  if (comparison.kind !== 'paired') {
    return { ...cells, why: comparison.kind === 'refused' ? comparison.reasons.join('; ') : null };
  }
  const { difference, corrected } = comparison;
  const none = hasNoSpread(comparison) ? NO_SPREAD : undefined;
  return {
    ...cells,
    difference: toEstimate(difference, metricFormat(findings, metric)),
    p: none ?? difference.p,
    corrected: none ?? corrected,
    effect: equivalence && describeEffect(findings, metric, equivalence),
    equivalence: equivalence?.p,
  };
}

const nameContrast = ({ of, minus }: ContrastFinding): string => `${of} − ${minus}`;

const hasOneMetric = ({ contrasts }: FamilyFindings): boolean =>
  new Set(contrasts.map(({ metric }) => metric)).size === 1;

const listUnits = (findings: Findings, { contrasts }: FamilyFindings): readonly string[] => [
  ...new Set(contrasts.map(({ metric }) => metricFormat(findings, metric).unit)),
];

/** What an interval says of effects that matter, in words. */
export function describeEffect(
  findings: Findings,
  metric: number,
  { margin, place }: Equivalence,
): string {
  const { factor, unit } = metricFormat(findings, metric);
  const size = `${numberFormatter(undefined)(margin * factor)} ${unit}`;
  const { direction } = findings.rows[0]!.metrics[metric]!.metric;
  const texts: Readonly<Record<EffectPlace, readonly [max: string, min: string]>> = {
    within: [`smaller than ${size}`, `smaller than ${size}`],
    above: [`better by at least ${size}`, `worse by at least ${size}`],
    below: [`worse by at least ${size}`, `better by at least ${size}`],
    'not-above': [`no gain of ${size}`, `no loss of ${size}`],
    'not-below': [`no loss of ${size}`, `no gain of ${size}`],
    open: ['cannot tell', 'cannot tell'],
  };
  return texts[place][direction === 'max' ? 0 : 1];
}

function explain({ seeds }: Findings, { contrasts }: FamilyFindings): string {
  const judged = contrasts.some(({ equivalence }) => equivalence);
  const tested = contrasts.filter(({ comparison }) => comparison.kind === 'paired').length;
  const how = `Differences are paired over ${pluralize(seeds.length, 'seed')}, with 95\u00a0% intervals of Student's t; p is that of the paired t test, with Holm's correction over the ${pluralize(tested, 'contrast')} of this family.`;
  if (!judged) return how;
  return `${how} Effects that matter: what the interval excludes. No gain (no loss): it excludes a gain (a loss) that matters, not the opposite. Cannot tell: it excludes neither. p (TOST): of two one-sided tests that the difference is smaller than an effect that matters; it is below 0.05 where the 90\u00a0% interval is.`;
}

/** Plots of a family, one for each unit of its metrics in which something is compared. */
export function contrastPlots(findings: Findings, family: FamilyFindings): readonly ForestPlot[] {
  return listUnits(findings, family).flatMap((unit) => {
    const own = family.contrasts.filter(
      ({ metric }) => metricFormat(findings, metric).unit === unit,
    );
    if (own.every(({ comparison }) => comparison.kind !== 'paired')) return [];
    const shown = metricFormat(findings, own[0]!.metric);
    return forestPlot({
      title: family.name,
      x: { label: `difference, ${unit}`, format: shown.signed },
      reference: 0,
      rows: own.map((contrast) => {
        const { comparison, metric } = contrast;
        const none = { value: null, low: null, high: null };
        const { value, low, high } =
          comparison.kind === 'paired' ? toEstimate(comparison.difference, shown) : none;
        const which = hasOneMetric(family)
          ? ''
          : `, ${findings.rows[0]!.metrics[metric]!.metric.name}`;
        return { label: `${nameContrast(contrast)}${which}`, mean: value, low, high };
      }),
      caption:
        "Bars are 95\u00a0% intervals of Student's t for each contrast alone; the p values with Holm's correction take their number into account.",
    });
  });
}

/** Tables and plots of all families. */
export const contrastBlocks = (findings: Findings): readonly Block[] =>
  findings.contrasts.flatMap((family) => [
    ...(findings.complete ? contrastPlots(findings, family) : []),
    contrastTable(findings, family),
  ]);
