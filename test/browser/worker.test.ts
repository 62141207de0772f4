import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleWithEsbuild, bundleWithVite } from './bundles.js';
import type { Files } from './bundles.js';
import { lowContrast } from './contrast.js';
import { launchChromium } from './launch.js';
import { serveFiles } from './training-server.js';
import type { Site } from './training-server.js';
import type { Trained, TrainedInPage } from './worker/page.js';

/** Scripts of workers that cannot start. */
const brokenScripts: Files = new Map([
  ['bad-syntax.js', 'const = 1;'],
  ['throws.js', 'throw new Error("at once");'],
  ['silent.js', ''],
]);

let browser: Browser;
let built: Readonly<Record<'esbuild' | 'Vite', Files>>;
const sites: Site[] = [];
beforeAll(async () => {
  browser = await launchChromium({ webgl: true });
  const entries = { page: 'worker/page.ts', 'train.worker': 'worker/train.worker.ts' };
  built = { esbuild: await bundleWithEsbuild(entries), Vite: await bundleWithVite('worker') };
});
afterAll(async () => {
  sites.forEach((site) => site.close());
  await browser?.close();
});

/** A site with what a bundler built, and with the scripts that cannot start. */
async function open(bundler: keyof typeof built, isolated = false): Promise<Site> {
  const site = await serveFiles(new Map([...built[bundler], ...brokenScripts]), isolated);
  sites.push(site);
  return site;
}

/** What a call gives in a fresh page. */
async function inPage<T>({ origin }: Site, call: string): Promise<T> {
  const page = await browser.newPage();
  try {
    await page.goto(origin);
    return await page.evaluate<T>(call);
  } finally {
    await page.close();
  }
}

describe.each(['esbuild', 'Vite'] as const)('a page that %s builds', (bundler) => {
  let site: Site;
  beforeAll(async () => {
    site = await open(bundler);
  });

  test('trains in a worker with a preset, follows it and gets the model', async () => {
    const told = await inPage<Trained>(site, 'trainInWorkerToEnd({ preset: true })');
    expect(told.ended).toBe('completed');
    expect(told.losses).toHaveLength(3);
    expect(told.losses[2]).toBeLessThan(told.losses[0]!);
    expect(told.inPage).toEqual(told.at);
    expect(told.framesAsked).toBe(0);
    expect(told.explained).toContain('multi-exit');
    expect(told.progress[0]).toMatchObject({ kind: 'batch', epoch: 0, fraction: 1 / 12 });
    const ends = told.progress.filter(({ kind }) => kind === 'epoch');
    expect(ends.map(({ fraction }) => fraction)).toEqual([1 / 3, 2 / 3, 1]);
    const inPageItself = await inPage<TrainedInPage>(site, 'trainInPage()');
    expect(inPageItself).toEqual({ losses: told.losses, at: told.at });
  });

  test('draws while the worker trains, and cancels it', async () => {
    const { ended, epochs } = await inPage<Trained>(site, 'cancelAfterFrames(5)');
    expect(ended).toBe('cancelled');
    expect(epochs).toBeLessThan(1e6);
  });

  test('imports nothing by a name that only npm knows', () => {
    for (const [path, text] of built[bundler]) {
      expect(path + String(text)).not.toMatch(/\bimport\(\s*["'`]@espalier/);
    }
  });
});

describe('the example page', () => {
  let site: Site;
  beforeAll(async () => {
    site = await serveFiles(await bundleWithVite('../../examples/page'));
    sites.push(site);
  });

  /** The page on a phone, and what it complains about. */
  async function openOnPhone(colorScheme: 'light' | 'dark') {
    const page = await browser.newPage({ viewport: { width: 390, height: 844 }, colorScheme });
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => complaints.push(message.text()));
    await page.goto(site.origin);
    return { page, complaints };
  }
  const overflow = () => document.documentElement.scrollWidth - innerWidth;

  test('trains to the end, and fits a dark phone', async () => {
    const { page, complaints } = await openOnPhone('dark');
    await page.fill('[name=epochs]', '2');
    await page.click('#train');
    const status = page.locator('#status');
    await status.filter({ hasText: /^Done, on cpu\. Epoch 2 of 2: validation accuracy/ }).waitFor();
    expect(await page.locator('#progress').evaluate((bar: HTMLProgressElement) => bar.value)).toBe(
      1,
    );
    const lines = page.locator('#curve polyline');
    const points = await lines.evaluateAll((all) =>
      all.map((line) => line.getAttribute('points')!.split(' ').length),
    );
    expect(points).toEqual([2, 2]);
    expect(await page.evaluate(overflow)).toBe(0);
    expect(await page.evaluate(lowContrast)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('is cancelled by its button and trains again, and has enough contrast on a light phone', async () => {
    const { page, complaints } = await openOnPhone('light');
    await page.fill('[name=epochs]', '500');
    await page.click('#train');
    const status = page.locator('#status');
    await status.filter({ hasText: /^Epoch/ }).waitFor();
    expect(await page.evaluate(lowContrast)).toEqual([]);
    await page.click('#cancel');
    await status.filter({ hasText: /^Cancelled, on cpu/ }).waitFor();
    await page.fill('[name=epochs]', '1');
    await page.click('#train');
    await status.filter({ hasText: /^Done, on cpu\. Epoch 1 of 1/ }).waitFor();
    expect(complaints).toEqual([]);
    await page.close();
  });
});

describe('a page', () => {
  let [ordinary, isolated]: Site[] = [];
  beforeAll(async () => {
    [ordinary, isolated] = [await open('esbuild'), await open('esbuild', true)];
  });

  test('learns by name that a worker has ended or does not start', async () => {
    const told = await inPage<Readonly<Record<string, string>>>(ordinary!, 'watchWorkersEnd()');
    expect(told).toEqual({
      byPage: expect.stringMatching(/the page called terminate\(\).*attach\/worker-died/),
      byItself: expect.stringMatching(/ended before the training did.*attach\/worker-died/),
      missing: expect.stringMatching(/could not be loaded.*attach\/worker-start/),
      badSyntax: expect.stringMatching(/does not parse.*attach\/worker-start/),
      throws: expect.stringMatching(/at once \(.*throws\.js:1\).*attach\/worker-start/),
      silent: expect.stringMatching(/did not call serveTraining.*attach\/worker-start/),
    });
  });

  test('hears of errors beside the training, which goes on', async () => {
    const told = await inPage<Trained>(ordinary!, "trainInWorkerToEnd({ fate: 'throw' })");
    expect(told.warnings.join()).toMatch(/beside the training: .*a bug in another script/);
    expect(told.ended).toBe('completed');
  });

  const threads = "{ backend: { prefer: 'wasm', threads: 2, wasmPaths: '/wasm/' } }";

  test('that is not isolated and asks for threads of wasm is told that it gets one', async () => {
    const told = await inPage<Trained>(ordinary!, `trainInWorkerToEnd(${threads})`);
    const reason =
      'wasm takes 1 thread where 2 were asked for: the page is not cross-origin isolated';
    expect(told.warnings.join()).toContain(reason);
    expect(told.losses[2]).toBeLessThan(told.losses[0]!);
  });

  test('that is isolated gets threads of wasm in its worker', async () => {
    const told = await inPage<Trained>(isolated!, `trainInWorkerToEnd(${threads})`);
    expect(told.line).toContain('SIMD, 2 threads)');
    expect(told.warnings).toEqual([]);
    expect(told.losses[2]).toBeLessThan(told.losses[0]!);
  });

  test('trains on webgl in a worker', async () => {
    const told = await inPage<Trained>(
      ordinary!,
      "trainInWorkerToEnd({ backend: { prefer: 'webgl' } })",
    );
    expect(told.line).toMatch(/^backend webgl/);
    expect(told.losses[2]).toBeLessThan(told.losses[0]!);
  });
});
