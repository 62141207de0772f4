import type { Browser } from 'playwright-core';
import { chromium } from 'playwright-core';
import { findChromium } from './find-chromium.mjs';

/** What Chromium needs to run as root in a container, and to make no requests of its own. */
const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Starts the machine's Chromium; the caller closes it.
 * @throws Error if there is none, naming the command that installs it.
 */
export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (!executablePath) {
    throw new Error('No Chromium found. Run `npm run setup:browser`, or set CHROMIUM_PATH.');
  }
  return chromium.launch({ executablePath, args });
}
