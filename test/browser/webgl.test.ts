import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { relativeTolerance } from '../../core/backend/test/gradients/errors.js';
import { launchChromium } from './launch.js';
import { servePage } from './training-server.js';
import type { Site } from './training-server.js';
import type { GradientErrors, Kept } from './webgl-page.js';
import { trainTinyCnn } from './webgl-run.js';

let browser: Browser;
let site: Site;
beforeAll(async () => {
  browser = await launchChromium({ webgl: true });
  site = await servePage({ entry: 'webgl-page.ts' });
});
afterAll(async () => {
  site?.close();
  await browser?.close();
});

/** What a call gives in a fresh page. */
async function inPage<T>(call: string): Promise<T> {
  const page = await browser.newPage();
  try {
    await page.goto(site.origin);
    return await page.evaluate<T>(call);
  } finally {
    await page.close();
  }
}

test('a page on webgl stays there and trains; its losses are those of Node', async () => {
  const node = await trainTinyCnn();
  const { before, after, line, losses } = await inPage<Kept>('keepWebgl()');
  expect([before, after]).toEqual(['webgl', 'webgl']);
  expect(line).toMatch(/^backend webgl \(@tensorflow\/tfjs-backend-webgl 4\.22\.0, /);
  expect(losses.at(-1)).toBeLessThan(losses[0]!);
  losses.forEach((loss, step) => {
    expect(Math.abs(loss - node.losses[step]!)).toBeLessThan(1e-3);
  });
});

test('webgl in 16 bits is refused by name', async () => {
  expect(await inPage<string>('trainInHalfPrecision()')).toMatch(
    /webgl, cannot train: it keeps numbers in 16 bits.*prefer: \['wasm', 'cpu'\].*backend\/unfit/s,
  );
});

// Its shaders are compiled one by one: all cases take minutes.
const every = process.env['ESPALIER_TEST_WEBGL'] === 'all';

test('gradients by webgl are right, of second order where there are such', async () => {
  const { first, second } = await inPage<GradientErrors>(`gradientErrors(${every})`);
  expect(Object.keys({ ...first, ...second }).length).toBeGreaterThan(every ? 120 : 25);
  for (const errors of [first, second]) {
    const wrong = Object.entries(errors).filter(([, error]) => !(error < relativeTolerance));
    expect(Object.fromEntries(wrong)).toEqual({});
  }
});

test('every layer class trains on webgl', async () => {
  expect(await inPage<string[]>('layersThatFail()')).toEqual([]);
});

test('a page that names a preset is told to hand it over, not to install it', async () => {
  const message = await inPage<string>('nameAPreset()');
  expect(message).toMatch(
    /'@espalier\/preset-baselines' cannot be found.*hand it over in modules/s,
  );
  expect(message).not.toContain('npm install');
});
