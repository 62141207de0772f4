// Runs every program as it was, then with a preset by three lines more, and prints what both reached.
import { useBackend } from '@espalier/backend';
import { run as datasetAttached } from './dataset/attached.js';
import { run as dataset } from './dataset/plain.js';
import { run as fineTuningAttached } from './fine-tuning/attached.js';
import { run as fineTuning } from './fine-tuning/plain.js';
import { run as ganAttached } from './gan/attached.js';
import { run as gan } from './gan/plain.js';
import { run as imageClassifierAttached } from './image-classifier/attached.js';
import { run as imageClassifier } from './image-classifier/plain.js';
import { run as rawVariablesAttached } from './raw-variables/attached.js';
import { run as rawVariables } from './raw-variables/plain.js';
import { run as textGenerationAttached } from './text-generation/attached.js';
import { run as textGeneration } from './text-generation/plain.js';

type Run = () => Promise<unknown>;

const programs: Readonly<Record<string, readonly [plain: Run, attached: Run]>> = {
  'image classifier': [imageClassifier, imageClassifierAttached],
  dataset: [dataset, datasetAttached],
  'text generation': [textGeneration, textGenerationAttached],
  GAN: [gan, ganAttached],
  'fine-tuning': [fineTuning, fineTuningAttached],
  'raw variables': [rawVariables, rawVariablesAttached],
};

console.log((await useBackend({ prefer: ['wasm'] })).line);
for (const [name, [plain, attached]] of Object.entries(programs)) {
  console.log(`\n${name}`, await plain());
  console.log('  with a preset', await attached());
}
