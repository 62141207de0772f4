// Runs every program as it was before Espalier and prints what it reached.
import { useBackend } from '@espalier/backend';
import { run as dataset } from './dataset/plain.js';
import { run as fineTuning } from './fine-tuning/plain.js';
import { run as gan } from './gan/plain.js';
import { run as imageClassifier } from './image-classifier/plain.js';
import { run as rawVariables } from './raw-variables/plain.js';
import { run as textGeneration } from './text-generation/plain.js';

const programs: Readonly<Record<string, () => Promise<unknown>>> = {
  'image classifier': imageClassifier,
  dataset,
  'text generation': textGeneration,
  GAN: gan,
  'fine-tuning': fineTuning,
  'raw variables': rawVariables,
};

console.log((await useBackend({ prefer: ['wasm'] })).line);
for (const [name, run] of Object.entries(programs)) {
  console.log(`\n${name}`, await run());
}
