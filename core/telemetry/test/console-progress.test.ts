import { PassThrough } from 'node:stream';
import { consoleProgress } from '@espalier/telemetry/node';
import { describe, expect, test } from 'vitest';

/** A stream like a terminal's, or like a file's, that remembers what was written. */
function fake(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 200 });
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
}

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
const ESCAPE = String.fromCharCode(27);
const metrics = { loss: 0.123456, 'val/accuracy': 0.9 };

describe('on a terminal', () => {
  test('draws a bar with count, ETA and loss terms, then the epoch as a line', () => {
    const { stream, text } = fake(true);
    const show = consoleProgress({ stream, interval: 1 });
    show.start({ epochs: 2, stepsPerEpoch: 10, label: 'byot' });
    show.step({ epoch: 1, step: 14, total: 0.75, terms: { ce: 0.5, kd: 0.25 } });
    expect(text()).toMatch(
      /byot epoch 2\/2 \[=+-+\] 40% \| 4\/10 \| ETA .* \| loss 0\.75 \| unweighted terms: ce 0\.5 {2}kd 0\.25/,
    );
    show.step({ epoch: 1, step: 20, total: NaN });
    show.stop();
    expect(text()).toMatch(/100% \| 10\/10 .* loss NaN/);
    show.epoch({ epoch: 1, metrics });
    expect(text()).toMatch(/byot epoch 2\/2 \| [\d.]+ s \| loss 0\.1235 {2}val\/accuracy 0\.9\n$/);
  });

  test('shows count and rate, and no ETA, where the number of steps is unknown', () => {
    const { stream, text } = fake(true);
    const show = consoleProgress({ stream });
    show.start({ epochs: 3 });
    show.step({ epoch: 0, step: 7, total: 1 });
    show.step({ epoch: 0, step: 9, total: 2 });
    show.stop();
    expect(text()).toMatch(/epoch 1\/3 \| step 7 \| - steps\/s \| loss 1/);
    expect(text()).toMatch(/step 9 \| [\d.]+ steps\/s \| loss 2/);
    expect(text()).not.toMatch(/ETA|%|--/);
  });

  test('a message goes above the bar, which goes on', () => {
    const { stream, text } = fake(true);
    const show = consoleProgress({ stream });
    show.start({ epochs: 1, stepsPerEpoch: 4 });
    show.step({ epoch: 0, step: 1 });
    show.message('saved');
    show.step({ epoch: 0, step: 2 });
    show.stop();
    expect(text()).toMatch(/1\/4.*saved\n.*2\/4/s);
  });

  test('steps beyond the expected ones do not overflow the bar', () => {
    const { stream, text } = fake(true);
    const show = consoleProgress({ stream });
    show.start({ epochs: 1, stepsPerEpoch: 4 });
    show.step({ epoch: 0, step: 9 });
    show.stop();
    expect(text()).toContain('4/4');
  });

  test('stop ends the timer, and may be called at any time', () => {
    const { stream } = fake(true);
    const show = consoleProgress({ stream });
    const before = timers();
    show.stop();
    show.step({ epoch: 0, step: 1 });
    expect(timers()).toBe(before + 1);
    show.stop();
    show.stop();
    expect(timers()).toBe(before);
  });
});

describe('elsewhere', () => {
  test('prints one plain line per epoch, messages, and nothing per step', () => {
    const { stream, text } = fake(false);
    const show = consoleProgress({ stream });
    show.start({ epochs: 2, stepsPerEpoch: 2 });
    for (const epoch of [0, 1]) {
      show.step({ epoch, step: 2 * epoch + 1, total: 1 });
      show.epoch({ epoch, metrics });
    }
    show.message('done');
    show.stop();
    const lines = text().trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(/^epoch 2\/2 \| [\d.]+ s \| loss 0\.1235 {2}val\/accuracy 0\.9$/);
    expect(text()).not.toContain(ESCAPE);
  });

  const terms = { loss: 0.75, 'loss/task/ce': 0.5, 'loss/kd/exit_1': 2.5, 'val/loss': 0.6 };

  test.each([
    [false, terms, /^epoch 1\/1 \| [\d.]+ s \| loss 0\.75 {2}val\/loss 0\.6\n$/],
    [true, terms, /0\.6\n {2}unweighted terms: loss\/task\/ce 0\.5 {2}loss\/kd\/exit_1 2\.5\n$/],
    [true, { loss: 0.5, 'loss/task/ce': 0.5 }, /loss 0\.5\n$/],
  ])('tells the terms of the loss when verbose (%s): %j', (verbose, numbers, expected) => {
    const { stream, text } = fake(false);
    const show = consoleProgress({ stream, verbose });
    show.start({ epochs: 1 });
    show.epoch({ epoch: 0, metrics: numbers });
    expect(text()).toMatch(expected);
  });
});

describe('never throws into training', () => {
  test.each([true, false])('when writing throws (terminal: %s)', (isTTY) => {
    const { stream } = fake(isTTY);
    stream.write = () => {
      throw new Error('broken');
    };
    const before = timers();
    const show = consoleProgress({ stream });
    show.start({ epochs: 1, stepsPerEpoch: 2 });
    show.step({ epoch: 0, step: 1, total: 1 });
    show.epoch({ epoch: 0, metrics });
    show.message('x');
    show.stop();
    expect(timers()).toBe(before);
  });

  test('when the other end closes the pipe', () => {
    const { stream } = fake(false);
    for (let i = 0; i < 20; i++) consoleProgress({ stream });
    expect(stream.listenerCount('error')).toBe(1);
    expect(() => stream.emit('error', new Error('EPIPE'))).not.toThrow();
  });

  test('when a value is no number', () => {
    const { stream } = fake(false);
    const show = consoleProgress({ stream });
    show.epoch({ epoch: 0, metrics: { loss: undefined as unknown as number } });
    expect(() => show.message('on')).not.toThrow();
  });
});

test.each([true, false])('names of others are text, on a terminal (%s) too', (isTTY) => {
  const { stream, text } = fake(isTTY);
  const name = `${ESCAPE}[2J\u009b31m\nforged`;
  const show = consoleProgress({ stream, verbose: true });
  show.start({ epochs: 1, label: name });
  show.message(name);
  show.epoch({ epoch: 0, metrics: { [name]: 1, 'loss/a': 1, [`loss/${name}`]: 2 } });
  show.stop();
  expect(text()).toContain('forged');
  expect(text()).not.toContain(`${ESCAPE}[2J`);
  expect(text()).not.toContain('\u009b');
});
