import { buildConfig, makeSessionConfig } from '@espalier/config';
import { createSession } from '@espalier/core';

/** Runs trials in this process, one after the other: nothing is killed, saved or resumed. */
export const inProcess = {
  slots: 1,
  async run({ base, file, sets, seed, backend: { name, threads } }) {
    const config = await makeSessionConfig(buildConfig(base, { file, sets }));
    const backend = { prefer: name, threads };
    const session = await createSession({ ...config, seed, backend });
    const { history } = await session.fit({ epochs: base.epochs });
    const [model, last] = [session.export(), history.at(-1).metrics];
    const modelBytes = 4 * model.countParams();
    await session.dispose();
    const own = Object.entries(last).filter(([metric]) => metric.startsWith('val/'));
    return {
      status: 'done',
      result: {
        metrics: Object.fromEntries(own.map(([metric, value]) => [metric.slice(4), value])),
        history: history.map(({ clock, metrics }) => ({ epoch: clock.epoch + 1, metrics })),
        cost: { seconds: 0, cpuSeconds: 0, peakMemory: 0, modelBytes, macs: null },
      },
    };
  },
};
