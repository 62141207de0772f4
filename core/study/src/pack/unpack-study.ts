import { EspalierError } from '@espalier/core';
import type { StudyRecords } from '../store/records.js';
import { StudyStore } from '../store/store.js';

/**
 * Puts a packed study into a folder, where the study goes on from it.
 *
 * @throws EspalierError `study/not-empty` where the folder holds a study; `study/running`, `study/store`.
 */
export function unpackStudy(packed: StudyRecords, dir: string): void {
  const store = StudyStore.open(dir);
  try {
    if (store.plan() !== undefined || store.trials().length > 0) throw notEmpty(dir);
    store.together(() => {
      store.keepPlan(packed.plan()!);
      packed.environments().forEach((each, id) => store.keepEnvironment(id, each));
      packed.trials().forEach((trial) => store.end(trial));
      packed.tests().forEach((test) => store.keepTest(test));
      packed.readings().forEach((reading) => store.keepReading(reading));
    });
  } finally {
    store.close();
  }
}

function notEmpty(dir: string): EspalierError {
  return new EspalierError('study/not-empty', {
    problem: `${dir} holds a study already, and nothing is overwritten`,
    fix: 'Unpack into another folder with --dir, or move that one away.',
  });
}
