/** Ctrl-C, or a scheduler's SIGTERM. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Exit code by convention: 128 + the signal's number. */
  readonly exitCode: number;
  stop(): void;
}

const CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** The first signal asks for an orderly end, the second ends the process at once. */
export function catchInterrupt(say: (message: string) => void): Interrupt {
  const controller = new AbortController();
  let exitCode = 0;
  const handle = (name: NodeJS.Signals) => {
    const code = CODES[name as keyof typeof CODES];
    if (exitCode !== 0) process.exit(code);
    exitCode = code;
    say('Finishing this step or batch. Once more to stop at once, without saving.');
    controller.abort();
  };
  const names = Object.keys(CODES) as (keyof typeof CODES)[];
  names.forEach((name) => process.on(name, handle));
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    stop: () => names.forEach((name) => process.off(name, handle)),
  };
}
