import type { Report } from '@espalier/report';
import {
  barPlot,
  code,
  dotPlot,
  forestPlot,
  keyValues,
  linePlot,
  note,
  table,
  text,
} from '@espalier/report';

const percent = { style: 'percent', digits: 1 } as const;
const runs = ['plain', 'deeply supervised', 'byot'];
const exits = ['exit 1', 'exit 2', 'exit 3', 'exit 4'];

/** A curve that rises like an accuracy does, the same on every machine. */
const accuracyAt = (run: number, step: number): number =>
  0.97 - 0.85 * Math.exp(-step / (90 - 15 * run)) + 0.008 * Math.sin(step / 7 + run);

const exitAccuracy = (run: number, exit: number): number =>
  0.72 + 0.06 * exit + (run > 0 ? 0.03 : 0) + 0.004 * run * (3 - exit);

const accuracyTable = table({
  title: 'Accuracy and cost per run',
  columns: [
    { key: 'run', label: 'Run' },
    ...exits.map((label) => ({ key: label, label, format: percent, best: 'max' as const })),
    {
      key: 'ms',
      label: 'Time per image',
      format: { style: 'fixed', digits: 2, unit: 'ms' },
      best: 'min',
    },
    { key: 'flops', label: 'FLOPs', format: { style: 'compact', digits: 3 } },
  ],
  rows: runs.map((run, i) => ({
    run,
    ...Object.fromEntries(
      exits.map((exit, e) => [exit, i === 0 && e < 3 ? null : exitAccuracy(i, e)]),
    ),
    ms: { value: 1.42 + 0.2 * i, low: 1.36 + 0.2 * i, high: 1.5 + 0.2 * i },
    flops: 1.234e6 * (1 + i),
  })),
  caption: 'Validation accuracy over 1,000 digits. Bold: best of its column.',
});

const curves = linePlot({
  title: 'Validation accuracy while training',
  x: { label: 'step' },
  y: { label: 'accuracy', domain: [0, 1], format: { style: 'percent', digits: 0 } },
  series: runs.map((name, run) => ({
    name,
    points: Array.from({ length: 60 }, (_, i) => {
      const y = run === 2 && i > 20 && i < 26 ? NaN : accuracyAt(run, i * 10);
      return { x: i * 10, y, low: y - 0.03, high: y + 0.02 };
    }),
  })),
  caption: 'Bands are the range over three seeds.',
});

const earlyExit = linePlot({
  title: 'Early exit: accuracy over cost',
  width: 'half',
  x: { label: 'MFLOPs per image' },
  y: { label: 'accuracy', format: { style: 'percent', digits: 0 } },
  series: runs.map((name, run) => ({
    name,
    points: [0, 1, 2, 3].map((e) => ({ x: 1.2 + e * 1.1 + run * 0.1, y: exitAccuracy(run, e) })),
  })),
});

const seeds = dotPlot({
  title: 'Accuracy of each seed',
  width: 'half',
  x: { label: 'exit' },
  y: { label: 'accuracy', format: { style: 'percent', digits: 0 } },
  series: runs.map((name, run) => ({
    name,
    points: [0, 1, 2, 3].map((e) => {
      const y = exitAccuracy(run, e);
      return { x: e + 1 + (run - 1) * 0.12, y, low: y - 0.012, high: y + 0.015 };
    }),
  })),
});

const perExit = barPlot({
  title: 'Accuracy per exit',
  value: { label: 'accuracy', domain: [0, 1], format: percent },
  series: runs.map((name, run) => ({
    name,
    bars: exits.map((label, e) => {
      const value = run === 0 && e < 3 ? null : exitAccuracy(run, e);
      return { label, value, low: value && value - 0.02, high: value && value + 0.02 };
    }),
  })),
});

const effects = forestPlot({
  title: 'Change in accuracy against plain training',
  x: { label: 'percentage points', format: { style: 'fixed', digits: 2 } },
  reference: 0,
  rows: [
    { label: 'deep supervision', mean: 0.8, low: 0.31, high: 1.29 },
    { label: 'self-distillation from the deepest exit', mean: 1.1, low: 0.42, high: 1.78 },
    { label: 'label smoothing', mean: -0.12, low: -0.6, high: 0.36 },
    { label: 'diverged', mean: NaN, low: NaN, high: NaN },
  ],
  caption: 'Mean and 95 % interval over paired seeds.',
});

const facts = keyValues([
  { label: 'Backend', value: 'wasm, SIMD, 2 threads' },
  { label: 'Training images', value: 4000 },
  { label: 'Validation images', value: 1000 },
  { label: 'Seeds', value: '1, 2, 3' },
]);

/** A report with every kind of block, as a study would write it. */
export const sampleReport: Report = {
  title: 'Plain, deeply supervised and self-distilled training on digits',
  subtitle: 'Three ways to train one small residual network, with the same seeds and data',
  generated: 'Two cores, wasm backend',
  sections: [
    {
      heading: 'Summary',
      lead: 'What each exit of the network reaches, and what an image costs there.',
      blocks: [
        facts,
        note({ level: 'warning', text: 'One seed is a demonstration and not evidence.' }),
        accuracyTable,
        perExit,
      ],
    },
    {
      heading: 'Learning and early exits',
      blocks: [
        text(
          'Each run sees the same batches in the same order.\n\nGaps are steps without a value.',
        ),
        curves,
        earlyExit,
        seeds,
      ],
    },
    {
      heading: 'Effects',
      blocks: [
        note({ level: 'info', text: 'Differences are paired by seed.' }),
        effects,
        linePlot({
          title: 'A curve without points',
          x: { label: 'x' },
          y: { label: 'y' },
          series: [],
        }),
        code({ summary: 'Configuration', text: 'extends: byot\nseed: 1\n' }),
      ],
    },
  ],
  manifest: { preset: 'byot', temperature: 3, seeds: [1, 2, 3] },
};
