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
    rows: contrasts.map((contrast) => contrastCells(findings, contrast, oneUnit)),
    caption: explain(findings, family),
  });
}

function contrastCells(findings: Findings, contrast: ContrastFinding, oneUnit: boolean) {
  const { comparison, equivalence, metric } = contrast;
  const cells = { contrast: nameContrast(contrast), metric: nameMetric(findings, metric, oneUnit) };
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

/** With the unit of its differences, where others of its family have another. */
function nameMetric(findings: Findings, metric: number, oneUnit: boolean): string {
  const { name } = findings.rows[0]!.metrics[metric]!.metric;
  const { unit } = metricFormat(findings, metric);
  return oneUnit || unit === name ? name : `${name}, ${unit}`;
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
  return `${how} Effects that matter: what the interval excludes. No gain (no loss): it excludes a gain (a loss) that matters, not the opposite. Cannot tell: it excludes neither. p (TOST): of two one-sided tests that the difference is smaller than an effect that matters; it is below 0.05 where the 90\u00a0% interval lies between a loss and a gain of that size.`;
}

/** Plots of a family, one for each of its metrics in which something is compared. */
export function contrastPlots(findings: Findings, family: FamilyFindings): readonly ForestPlot[] {
  const { name, contrasts } = family;
  return [...new Set(contrasts.map(({ metric }) => metric))].flatMap((metric) => {
    const own = contrasts.filter((each) => each.metric === metric);
    if (own.every(({ comparison }) => comparison.kind !== 'paired')) return [];
    const shown = metricFormat(findings, metric);
    const { name: of, direction } = findings.rows[0]!.metrics[metric]!.metric;
    const side = direction === 'max' ? 'right' : 'left';
    return forestPlot({
      title: hasOneMetric(family) ? name : `${name}: ${of}`,
      x: { label: `difference, ${shown.unit}; better is to the ${side}`, format: shown.signed },
      reference: 0,
      rows: own.map((contrast) => {
        const { comparison } = contrast;
        const none = { value: null, low: null, high: null };
        const { value, low, high } =
          comparison.kind === 'paired' ? toEstimate(comparison.difference, shown) : none;
        return { label: nameContrast(contrast), mean: value, low, high };
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
