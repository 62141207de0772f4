import type { Browser } from 'playwright-core';
import { chromium } from 'playwright-core';
import { findChromium } from './find-chromium.mjs';

/** What Chromium needs to run as root in a container, and to make no requests of its own. */
const args = [
  '--headless',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** WebGL computed by the processor: every machine has it. */
const softwareGl = [
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
];

/**
 * Starts the machine's Chromium, with WebGL or without a graphics card; the caller closes it.
 * @throws Error if there is none, naming the command that installs it.
 */
export async function launchChromium({ webgl = false } = {}): Promise<Browser> {
  const executablePath = findChromium();
  if (!executablePath) {
    throw new Error('No Chromium found. Run `npm run setup:browser`, or set CHROMIUM_PATH.');
  }
  const graphics = webgl ? softwareGl : ['--disable-gpu'];
  return chromium.launch({ executablePath, args: [...args, ...graphics] });
}
