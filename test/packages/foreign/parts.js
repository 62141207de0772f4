import { tinyMlp, tinySource } from '@espalier/testkit';

export const model = tinyMlp;
export const train = () => tinySource({ seed: 0 });
export const validation = () => tinySource({ seed: 1 });
