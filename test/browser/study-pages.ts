import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { studyPage } from '@espalier/study';
import { ablation, madeFindings } from '../../core/study/test/made-findings.js';

/** Writes a finished study's page, `study.html`, and that of one with all there is to warn of, `faults.html`. */
export function writeStudies(folder: string): void {
  const readings = [...ablation.readings!, { at: '2026-01-04T10:20:30.000Z', trials: 6, of: 'b' }];
  const faults = { ...ablation.rows[2]!, failed: [2, 3] };
  const equal = { ...ablation.rows[1]!, exact: true };
  const rows = ablation.rows.with(1, equal).with(2, faults);
  const message = 'The process ended with SIGKILL, three times. '.repeat(3);
  const faulty = madeFindings({ ...ablation, seeds: 3, readings, rows, message });
  writeFileSync(join(folder, 'study.html'), studyPage(madeFindings(ablation)));
  writeFileSync(join(folder, 'faults.html'), studyPage(faulty));
}
