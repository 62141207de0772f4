/** The page: sends its data to the worker, shows how the training goes, uses the trained model. */
import { trainInWorker } from '@espalier/attach/worker';
import type { FitProgress } from '@espalier/attach/worker';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { drawCurve } from './curve.js';
import { drawMap } from './map.js';
import { makeSpirals } from './spirals.js';
import type { Input, Task } from './train.worker.js';

const find = <E extends Element>(id: string) => document.querySelector<E & HTMLElement>(`#${id}`)!;
const form = find<HTMLFormElement>('settings');
const train = find<HTMLButtonElement>('train');
const cancel = find<HTMLButtonElement>('cancel');
const progress = find<HTMLProgressElement>('progress');
const status = find('status');
const curve = document.querySelector<SVGSVGElement>('#curve')!;
const map = find<HTMLCanvasElement>('map');

const points = makeSpirals(120);
let worker = startWorker();
let model: LayersModel | undefined;

function startWorker() {
  return new Worker(new URL('./train.worker.js', import.meta.url), { type: 'module' });
}

function readSettings(): Pick<Input, 'method' | 'epochs' | 'backend'> {
  const settings = Object.fromEntries(new FormData(form)) as Record<string, string>;
  return { ...settings, epochs: Number(settings['epochs']) } as ReturnType<typeof readSettings>;
}

function tell(text: string, failed = false): void {
  status.textContent = text;
  status.classList.toggle('failed', failed);
}

const percent = (share: number) => `${(100 * share).toFixed(1)}%`;

/** Shows epochs in the curve and everything in the bar. */
function followTraining(epochs: number): (each: FitProgress) => void {
  const [training, validation]: [number[], number[]] = [[], []];
  drawCurve(curve, [], epochs);
  return ({ kind, epoch, fraction, logs }) => {
    if (fraction !== undefined) progress.value = fraction;
    // An epoch that was cancelled has no validation.
    if (kind !== 'epoch' || logs['val_acc'] === undefined) return;
    training.push(logs['acc']!);
    validation.push(logs['val_acc']);
    drawCurve(curve, [training, validation], epochs);
    tell(`Epoch ${epoch + 1} of ${epochs}: validation accuracy ${percent(logs['val_acc'])}.`);
  };
}

async function runTraining(signal: AbortSignal): Promise<void> {
  const settings = readSettings();
  progress.value = 0;
  tell('The worker starts …');
  const { output, ended } = await trainInWorker<Task>(
    worker,
    { ...points, ...settings },
    {
      signal,
      onProgress: followTraining(settings.epochs),
      onWarning: ({ message }) => console.warn(message),
    },
  );
  model?.dispose();
  model = await loadLayersModel(tf.io.fromMemory(output.model));
  await drawMap(map, points, model);
  const last = status.textContent ?? '';
  tell(`${ended === 'cancelled' ? 'Cancelled' : 'Done'}, on ${output.backend}. ${last}`);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const stop = new AbortController();
  cancel.onclick = () => stop.abort();
  [train.disabled, cancel.disabled] = [true, false];
  try {
    await runTraining(stop.signal);
  } catch (error) {
    tell((error as Error).message, true);
    worker.terminate();
    worker = startWorker();
  } finally {
    [train.disabled, cancel.disabled] = [false, true];
  }
});

const redraw = () => drawMap(map, points, model);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => void redraw());
await tf.setBackend('cpu');
drawCurve(curve, [], Number(readSettings().epochs));
await redraw();
