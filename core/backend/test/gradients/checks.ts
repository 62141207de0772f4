import { expect } from 'vitest';
import type { Problem } from './differences.js';
import { firstOrderError, relativeTolerance, secondOrderError } from './errors.js';

export function expectGradient(problem: Problem): void {
  expect(firstOrderError(problem)).toBeLessThan(relativeTolerance);
}

export function expectHessian(problem: Problem): void {
  expect(secondOrderError(problem)).toBeLessThan(relativeTolerance);
}
