/** How long a fit may keep the event loop waiting, in milliseconds. */
const LONGEST = 10;

let last = 0;

/**
 * Lets timers, signals and input through now and then: on backends that answer at once, a training
 * loop would otherwise never leave the microtask queue.
 */
export async function yieldToEventLoop(): Promise<void> {
  if (performance.now() - last < LONGEST) return;
  await new Promise<void>((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        channel.port1.close();
        resolve();
      };
      channel.port2.postMessage(undefined);
    }
  });
  last = performance.now();
}
