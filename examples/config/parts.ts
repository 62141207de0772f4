/** Data by name, for both configurations: functions that get `batchSize` and give a source. */
import type { Source } from '@espalier/core';
import { loadDigits, sourceOf } from '../digits/data.js';

const digits = loadDigits({ train: 40, validation: 30, test: 50 });

export function train({ batchSize = 32 }): Source {
  return sourceOf(digits.train, batchSize, true);
}

export function validation(): Source {
  return sourceOf(digits.validation, 128, false);
}

export function test(): Source {
  return sourceOf(digits.test, 128, false);
}
