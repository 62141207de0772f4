import { main } from 'espalier';
import { vi } from 'vitest';

/** The command in this process: quicker than one of its own. */
export async function run(...args: string[]) {
  const printed = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      printed[stream] += String(text);
      return true;
    }),
  );
  try {
    return { code: await main(args), ...printed };
  } finally {
    spies.forEach((spy) => spy.mockRestore());
  }
}
