import { EspalierError } from '@espalier/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** @throws EspalierError `distillation/shapes`. */
export function checkShapes(name: string, student: Tensor, teacher: Tensor): void {
  if (String(student.shape) === String(teacher.shape)) return;
  throw new EspalierError('distillation/shapes', {
    problem: `${name}() compares a student [${student.shape.join(', ')}] with a teacher [${teacher.shape.join(', ')}]`,
    fix: 'Give both the same shape, one row for each example.',
  });
}

/** @throws EspalierError `distillation/temperature`. */
export function checkTemperature(temperature: number): void {
  if (temperature > 0) return;
  throw new EspalierError('distillation/temperature', {
    problem: 'the temperature must be above 0',
    received: temperature,
    fix: 'Usual temperatures are from 1 to 5; a higher one makes targets softer.',
  });
}
