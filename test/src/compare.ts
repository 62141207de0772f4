import type { NamedTensors, Session } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';

/** Tensors by name, copied to the host. */
export type Values = ReadonlyMap<string, Float32Array | Int32Array | Uint8Array>;

/** Copies tensors to the host. */
export function valuesOf(tensors: NamedTensors): Values {
  return new Map(Object.entries(tensors).map(([name, t]) => [name, t.dataSync().slice()]));
}

/** The first name whose values differ in any bit, or `undefined`. */
export function firstDifference(a: Values, b: Values): string | undefined {
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const [x, y] = [a.get(name), b.get(name)];
    if (!x || !y || x.length !== y.length || x.some((v, i) => !Object.is(v, y[i]))) return name;
  }
  return undefined;
}

/** Trains and gives back every parameter, moving statistics included. */
export async function trainedValues(session: Session, epochs: number): Promise<Values> {
  await session.fit({ untilEpoch: epochs });
  return valuesOf(session.parameters());
}

/** Runs `fn` with a session and disposes it whatever happens. */
export async function withSession<T>(
  opening: Promise<Session>,
  fn: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await opening;
  try {
    return await fn(session);
  } finally {
    await session.dispose();
  }
}

/** Tensors alive now. */
export function liveTensors(): number {
  return tf.memory().numTensors;
}
