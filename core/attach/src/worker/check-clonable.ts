import { EspalierError, isPlain } from '@espalier/base';

/**
 * Posts a message that holds `value`.
 *
 * @param what Names the value: `the input`.
 * @throws EspalierError `attach/worker-clone` if it cannot be sent: it holds a tensor, a function or a model.
 */
export function post(
  port: MessagePort,
  what: string,
  value: unknown,
  message: unknown,
  transfer: readonly Transferable[] = [],
): void {
  refuseTensors(what, value);
  try {
    port.postMessage(message, [...transfer]);
  } catch (cause) {
    throw cloneError(`${what} cannot be sent: ${(cause as Error).message}`, undefined, cause);
  }
}

/** A copy of a tensor would arrive as an object without values, and nothing would say so. */
function refuseTensors(path: string, value: unknown): void {
  if (isTensor(value)) throw cloneError(`${path} is a tensor, which cannot be sent`, value);
  if (!Array.isArray(value) && !isPlain(value)) return;
  for (const [key, inner] of Object.entries(value)) refuseTensors(`${path}.${key}`, inner);
}

const isTensor = (value: unknown): value is object =>
  typeof value === 'object' &&
  value !== null &&
  ['dataId', 'shape', 'dtype'].every((key) => key in value);

const cloneError = (problem: string, received?: unknown, cause?: unknown) =>
  new EspalierError('attach/worker-clone', {
    problem,
    ...(received !== undefined && { received }),
    fix: 'Send numbers, texts, arrays and typed arrays: { data: await x.data(), shape: x.shape } for a tensor, await getModelArtifacts(model) for a model.',
    cause,
  });
