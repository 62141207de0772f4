import { note, renderReport } from '@espalier/report';
import type { Section } from '@espalier/report';
import { circumstancesSection } from './circumstances.js';
import type { Circumstances } from './circumstances.js';
import { earlyExitPlot, exitBars, learningCurves } from './plots.js';
import { BATCH_SIZE } from './recipes.js';
import type { Results } from './result.js';
import {
  accuracyTable,
  costTable,
  curveTable,
  gainTable,
  PERCENT,
  teachingTable,
  withExits,
  withTargets,
} from './tables.js';

/** The whole comparison as one self-contained HTML page. */
export function digitsPage(results: Results, circumstances: Circumstances): string {
  const { options, images } = circumstances;
  return renderReport({
    title: 'Three ways to train one network',
    subtitle: `A small residual network on ${images.train} real handwritten digits: plain, deeply supervised, and as its own teacher (MetaDistiller). ${options.epochs} epoch${options.epochs === 1 ? '' : 's'} each, with the same seed, data and optimizer.`,
    generated: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    sections: [
      accuracySection(results, circumstances.caveat),
      earlyExitSection(results),
      learningSection(results),
      circumstancesSection(results, circumstances),
    ],
  });
}

function accuracySection(results: Results, caveat: string): Section {
  const gain = gainTable(results);
  return {
    heading: 'Accuracy and cost of each exit',
    blocks: [
      note({ level: 'info', text: caveat }),
      accuracyTable(results),
      ...(gain ? [gain] : []),
      ...[...withTargets(results)].map(([recipe, [first]]) => teachingTable(recipe, first!)),
      costTable(results),
      exitBars(results, 'Accuracy', 'accuracy', { label: 'test accuracy', format: PERCENT }),
      exitBars(results, 'Time per image', 'milliseconds', {
        label: `ms per image, in a batch of ${BATCH_SIZE}`,
        format: { style: 'fixed', digits: 2 },
      }),
    ],
  };
}

function earlyExitSection(results: Results): Section {
  return {
    heading: 'Early exit',
    lead: 'An image leaves at the first exit whose highest probability reaches the threshold; the others go on.',
    blocks: [
      earlyExitPlot(results),
      ...[...withExits(results)].map(([recipe, [first]]) => curveTable(recipe, first!)),
    ],
  };
}

function learningSection(results: Results): Section {
  return {
    heading: 'Learning',
    lead: 'The network’s own output on the validation images after each epoch.',
    blocks: [
      learningCurves(results, 'Validation accuracy', 'val/accuracy', {
        label: 'accuracy',
        format: { style: 'percent', digits: 0 },
      }),
      learningCurves(results, 'Validation loss', 'val/loss', { label: 'cross-entropy' }),
    ],
  };
}
