import { z } from 'zod';
import type { Schedule } from './transform.js';

export const positive = z.number().positive();
export const nonNegative = z.number().nonnegative();
export const fraction = z.number().min(0).lt(1);
export const count = z.int().positive();
export const schedule = z.custom<Schedule>(
  (value) => typeof value === 'function' || Number.isFinite(value),
  'must be a finite number or a function of the step',
);
/** A constant rate of 0 or below is a mistake; a schedule may reach 0. */
export const learningRate = z.custom<Schedule>(
  (value) => typeof value === 'function' || positive.safeParse(value).success,
  'must be a positive number, e.g. 0.1, or a function of the step',
);
export const mask = z.custom<(path: string) => boolean>((value) => typeof value === 'function');
