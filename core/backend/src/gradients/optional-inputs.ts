import { wrapMethod } from './engine.js';
import type { EnginePatch } from './engine.js';

/** The engine fails on an input that an op leaves undefined, such as the scale of batchNorm. */
export const allowOptionalInputs: EnginePatch = (engine) => {
  wrapMethod(
    engine,
    'getTensorsForGradient',
    (select) =>
      (...args) =>
        select(...args).filter((tensor) => tensor !== undefined),
  );
  wrapMethod(engine, 'addTapeNode', (record) => (name, inputs, ...rest) => {
    // A list of inputs (concat, stack) is recorded by position, as an object is by name.
    const given = Object.entries(inputs).filter(([, tensor]) => tensor !== undefined);
    record(name, Object.fromEntries(given), ...rest);
  });
};
