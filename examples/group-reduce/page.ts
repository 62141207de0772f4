import type { BackendInfo } from '@espalier/backend';
import { keyValues, renderReport } from '@espalier/report';
import { machineFacts } from '../machine.js';
import type { OnTest, RowResult } from './measure-row.js';
import type { Options } from './options.js';
import {
  accountTable,
  decilePlots,
  frontPlot,
  frontTable,
  perplexityPlots,
  perplexityTable,
} from './tables.js';

/** What the page tells beside the results. */
export interface Circumstances {
  readonly options: Options;
  readonly subject: string;
  readonly backend: BackendInfo;
}

/** The ablation as one self-contained HTML page. */
export function ablationPage(
  results: readonly RowResult[],
  dense: OnTest,
  { options, subject, backend }: Circumstances,
): string {
  return renderReport({
    title: 'GroupReduce, step by step',
    subtitle: `Embedding and softmax of a language model in less space: ${subject}. Test perplexity of the dense model: ${dense.test.toFixed(2)}.`,
    generated: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    sections: [
      {
        heading: 'Perplexity',
        lead: 'The same budget, text, schedule and seed for every row. Rows were chosen between on the validation text; the test text only tells.',
        blocks: [
          ...options.ratios.map((ratio) => perplexityTable(results, ratio, dense)),
          ...options.ratios.flatMap((ratio) => perplexityPlots(results, ratio, dense)),
          frontTable(results, dense),
          frontPlot(results),
        ],
      },
      {
        heading: 'Frequent and rare words',
        lead: 'Words in ten groups of the same size by their count in the training text. Errors are of the matrices as compressed, before retraining.',
        blocks: options.ratios.flatMap((ratio) => decilePlots(results, ratio, dense)),
      },
      {
        heading: 'Bytes and errors',
        lead: 'Relative error: of the matrix, √(‖A − Ã‖² / ‖A‖²); weighted: as the row weighs it.',
        blocks: options.ratios.map((ratio) => accountTable(results, ratio)),
      },
      { heading: 'The runs', blocks: [keyValues(facts(options, backend, results))] },
    ],
  });
}

function facts(options: Options, backend: BackendInfo, results: readonly RowResult[]) {
  const { blocks, retrainWords, learningRate, seed } = options;
  const seconds = results.reduce((sum, each) => sum + each.seconds, 0);
  const entries = {
    blocks,
    retraining: `${Number.isFinite(retrainWords) ? `${retrainWords} words` : 'the training text'} once; Adam ${learningRate}, half a cosine, gradients clipped to norm 0.25`,
    seed,
    'time of all rows': `${Math.round(seconds / 60)} min`,
    ...machineFacts(backend),
  };
  return Object.entries(entries).map(([label, value]) => ({ label, value }));
}
