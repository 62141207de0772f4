// The entries that only Node has, and the conformance kit.
import type { CheckpointStore } from '@espalier/core';
import { consoleProgress, fileStore, jsonlSink } from '@espalier/core/node';
import { testPlugin, tinyCnn } from '@espalier/testkit';
import { defineConfig } from 'espalier';
import { logitPenalty } from './plugin.js';

export const store: CheckpointStore = fileStore('runs');
export const sinks = [consoleProgress, jsonlSink];
export const config = defineConfig({
  model: tinyCnn,
  loss: 'cross-entropy',
  optimizer: 'adam',
  epochs: 1,
});

testPlugin(logitPenalty, [{ name: 'on a convolutional network', model: tinyCnn }]);

// @ts-expect-error: a folder is a string
fileStore(7);
