import type { Case } from '../cases.js';
import { arrays } from './arrays.js';
import { elementwise } from './elementwise.js';
import { images } from './images.js';
import { layers } from './layers.js';
import { losses, products } from './products.js';
import { reductions } from './reductions.js';

export const cases: readonly Case[] = [
  ...elementwise,
  ...reductions,
  ...arrays,
  ...products,
  ...losses,
  ...images,
  ...layers,
];
