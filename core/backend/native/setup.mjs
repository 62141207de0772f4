#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { buildAddon } from './build.mjs';
import { placePackage } from './package.mjs';
import { smokeTest } from './smoke.mjs';
import { findTensorFlow } from './tensorflow.mjs';

const help = `espalier-setup-native [options]

Builds the addon of @tensorflow/tfjs-node-gpu against the TensorFlow inside a Python wheel, in the
project of the current folder. Needs Linux, Python 3, a C++ compiler and make. Running it again does
only what is missing.

  --wheel <name>    what pip installs into .venv   (tensorflow_cpu; with CUDA: "tensorflow[and-cuda]";
                    also ESPALIER_TENSORFLOW_WHEEL)
  --python <path>   a Python that has TensorFlow, or that makes .venv   (.venv, then python3)
  --force           build again although the addon is there
  --help`;

const { values: options } = parseArgs({
  options: {
    wheel: { type: 'string', default: process.env.ESPALIER_TENSORFLOW_WHEEL },
    python: { type: 'string' },
    force: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function setUp(root) {
  if (process.platform !== 'linux') {
    throw new Error(
      `This build is for Linux, not ${process.platform}: install @tensorflow/tfjs-node with npm instead.`,
    );
  }
  const tensorflow = findTensorFlow(root, options);
  const folder = placePackage(root);
  buildAddon(root, folder, tensorflow, options);
  smokeTest(root);
}

if (options.help) {
  console.log(help);
} else {
  try {
    setUp(process.cwd());
  } catch (error) {
    console.error(`setup-native: ${error.message}`);
    process.exitCode = 1;
  }
}
