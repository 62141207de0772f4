/** How work is shared out. */
export interface PoolOptions {
  /** How many at a time. */
  readonly slots: number;
  /** Aborted, nothing is begun any more; an error aborts it. */
  readonly controller: AbortController;
}

/**
 * Does the work on each item, a few at a time.
 *
 * @throws the first error, once all that was begun has ended.
 */
export async function pool<T>(
  items: readonly T[],
  { slots, controller }: PoolOptions,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) {
      if (controller.signal.aborted) return;
      await work(item);
    }
  };
  const workers = Array.from({ length: Math.min(slots, items.length) }, () =>
    worker().catch((error: unknown) => {
      controller.abort(); // the others end
      throw error;
    }),
  );
  const ends = await Promise.allSettled(workers);
  const broken = ends.find((end) => end.status === 'rejected');
  if (broken) throw broken.reason;
}

/** One that is aborted with the signal. */
export function abortedWith(signal: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  signal?.addEventListener('abort', () => controller.abort(), { once: true });
  if (signal?.aborted) controller.abort();
  return controller;
}
