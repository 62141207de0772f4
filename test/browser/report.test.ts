import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { renderReport, table } from '@espalier/report';
import { build } from 'esbuild';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compressVectors, writeAblation } from './compression-pages.js';
import { lowContrast } from './contrast.js';
import { launchChromium } from './launch.js';
import { sampleReport } from './sample-report.js';
import { writeStudies } from './study-pages.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-report-'));
const file = join(folder, 'report.html');
const url = pathToFileURL(file).href;
const digits = pathToFileURL(join(folder, 'index.html')).href;
const compressed = pathToFileURL(join(folder, 'small', 'report.html')).href;
const ablated = pathToFileURL(join(folder, 'ablation.html')).href;
const studied = pathToFileURL(join(folder, 'study.html')).href;
const faults = pathToFileURL(join(folder, 'faults.html')).href;
const main = fileURLToPath(new URL('../../examples/dist/digits/main.js', import.meta.url));
let browser: Browser;
let seen: string[] = [];

beforeAll(async () => {
  writeFileSync(file, renderReport(sampleReport));
  const short = ['--epochs', '2', '--train-per-class', '10', '--out', folder];
  execFileSync(process.execPath, [main, ...short], { stdio: 'ignore' });
  compressVectors(folder);
  writeAblation(folder);
  writeStudies(folder);
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

afterEach(() => {
  seen = [];
});

/** Opens a page and notes whatever it asks for or complains about. */
async function open(options: BrowserContextOptions, address = url): Promise<Page> {
  const page = await browser.newPage(options);
  page.on('request', (request) => {
    if (request.url() !== address && !request.url().startsWith('data:')) seen.push(request.url());
  });
  page.on('console', (message) => seen.push(message.text()));
  page.on('pageerror', (error) => seen.push(error.message));
  page.on('dialog', (dialog) => {
    seen.push(dialog.message());
    void dialog.dismiss();
  });
  await page.goto(address);
  return page;
}

const at = (width: number): BrowserContextOptions => ({ viewport: { width, height: 800 } });

describe.each([
  ['the sample', url],
  ['what npm start writes', digits],
  ['what espalier compress writes', compressed],
  ['the ablation of GroupReduce', ablated],
  ['a study', studied],
  ['a study of few seeds with failed trials', faults],
])('the page, %s,', (_, address) => {
  it.each([320, 375, 719, 720, 1280])('fits a page of %i px', async (width) => {
    const page = await open(at(width), address);
    const openDetails = () => document.querySelectorAll('details').forEach((d) => (d.open = true));
    const overflow = () => {
      const { scrollWidth = 0, clientWidth = 0 } = document.scrollingElement ?? {};
      return scrollWidth - clientWidth;
    };
    expect(await page.evaluate(overflow)).toBeLessThanOrEqual(0);
    await page.evaluate(openDetails);
    expect(await page.evaluate(overflow)).toBeLessThanOrEqual(0);
    await page.close();
  });

  it('asks for nothing and reports no error', async () => {
    const page = await open(at(1280), address);
    await page.waitForLoadState('networkidle');
    expect(seen).toEqual([]);
    await page.close();
  });

  it.each(['light', 'dark'] as const)('has enough contrast in %s', async (colorScheme) => {
    const page = await open({ ...at(1280), colorScheme }, address);
    await page.evaluate(() => document.querySelectorAll('details').forEach((d) => (d.open = true)));
    expect(await page.evaluate(lowContrast)).toEqual([]);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(ground).toBe(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(20, 23, 27)');
    await page.close();
  });
});

describe('the report page', () => {
  it('shows one drawing of each plot, at a readable size, with no text cut off', async () => {
    for (const width of [375, 720, 1280]) {
      const page = await open(at(width));
      const drawings = await page.evaluate(() =>
        [...document.querySelectorAll('svg[role=img]')]
          .filter((svg) => svg.getClientRects().length > 0)
          .map((svg) => {
            const frame = svg.getBoundingClientRect();
            const texts = [...svg.querySelectorAll('text')].map((text) =>
              text.getBoundingClientRect(),
            );
            return {
              figure: svg.closest('.block')?.id,
              smallest: Math.min(...texts.map(({ height }) => height)),
              outside: texts.filter((t) => t.left < frame.left - 1 || t.right > frame.right + 1)
                .length,
            };
          }),
      );
      const figures = drawings.map(({ figure }) => figure);
      expect(new Set(figures).size).toBe(figures.length);
      expect(figures).toHaveLength(5);
      for (const { smallest, outside } of drawings) {
        expect(smallest).toBeGreaterThan(9);
        expect(outside).toBe(0);
      }
      await page.close();
    }
  });

  it('prints black on white, without what paper cannot open', async () => {
    const page = await open({ ...at(1280), colorScheme: 'dark' });
    await page.emulateMedia({ media: 'print' });
    const printed = await page.evaluate(() => ({
      ground: getComputedStyle(document.body).backgroundColor,
      details: [...document.querySelectorAll('details')].filter((d) => d.getClientRects().length)
        .length,
    }));
    expect(printed).toEqual({ ground: 'rgb(255, 255, 255)', details: 0 });
    expect(await page.evaluate(lowContrast)).toEqual([]);
    expect((await page.pdf({ format: 'A4' })).subarray(0, 5).toString()).toBe('%PDF-');
    await page.close();
  });

  it('lets a keyboard reach a table that is wider than the page', async () => {
    const page = await open(at(375));
    const scroller = page.locator('.scroll').first();
    await scroller.focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => (document.querySelector('.scroll')?.scrollLeft ?? 0) > 0);
    await page.close();
  });

  /** The colour of a pixel without text at the right end of the first table. */
  async function colorAtEnd(page: Page): Promise<string> {
    const box = await page.locator('.scroll').first().boundingBox();
    if (!box) throw new Error('There is no table in the page.');
    const clip = { x: box.x + box.width - 4, y: box.y + 4, width: 1, height: 1 };
    const pixel = (await page.screenshot({ clip, fullPage: true })).toString('base64');
    return page.evaluate(async (png) => {
      const image = new Image();
      image.src = `data:image/png;base64,${png}`;
      await image.decode();
      const context = document.createElement('canvas').getContext('2d');
      context?.drawImage(image, 0, 0);
      return String(context?.getImageData(0, 0, 1, 1).data.slice(0, 3));
    }, pixel);
  }

  it('shades the end of a table while there is more to scroll to', async () => {
    const [wide, narrow] = await Promise.all([open(at(1280)), open(at(375))]);
    expect(await colorAtEnd(wide)).toBe('255,255,255');
    expect(await colorAtEnd(narrow)).not.toBe('255,255,255');
    await narrow.evaluate(() => document.querySelector('.scroll')?.scrollTo(9999, 0));
    expect(await colorAtEnd(narrow)).toBe('255,255,255');
    await Promise.all([wide.close(), narrow.close()]);
  });

  it('wraps long headers and texts of a table before it scrolls', async () => {
    const address = pathToFileURL(join(folder, 'headers.html')).href;
    const labels = ['mean share of multiply-accumulates', 'accuracy on the test images', 'remarks'];
    const columns = ['run', ...labels].map((label) => ({ key: label, label }));
    const cells = [0.5, 0.9, 'the logits are divided by the temperature before the softmax'];
    const row = Object.fromEntries(labels.map((label, i) => [label, cells[i]]));
    const blocks = [table({ columns, rows: [{ run: 'plain', ...row }] })];
    const report = { title: 't', sections: [{ heading: 'h', blocks }] };
    writeFileSync(join(folder, 'headers.html'), renderReport(report));
    const page = await open(at(480), address);
    const overflow = await page
      .locator('.scroll')
      .evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await page.close();
  });

  it('shows hostile text and does not run it', async () => {
    const hostile = `</script></style></title><script>alert(1)</script><img src=x onerror=alert(1)>"'`;
    const address = pathToFileURL(join(folder, 'hostile.html')).href;
    const rows = [{ [hostile]: hostile }];
    const blocks = [table({ title: hostile, columns: [{ key: hostile, label: hostile }], rows })];
    const report = { title: hostile, sections: [{ heading: hostile, blocks }], manifest: hostile };
    writeFileSync(join(folder, 'hostile.html'), renderReport(report));
    const page = await open(at(375), address);
    expect(await page.title()).toBe(hostile);
    expect(await page.locator('h1').textContent()).toBe(hostile);
    expect(await page.locator('script, img').count()).toBe(0);
    expect(seen).toEqual([]);
    await page.close();
  });

  it('is the same text when a browser renders it', async () => {
    const bundle = await build({
      stdin: { contents: `export * from '@espalier/report'`, resolveDir: import.meta.dirname },
      conditions: ['@espalier/source'],
      bundle: true,
      write: false,
      platform: 'browser',
      format: 'iife',
      globalName: 'report',
    });
    // Observable Plot shifts lines by half a pixel on screens of one pixel per point.
    const page = await browser.newPage({ deviceScaleFactor: 2 });
    await page.addScriptTag({ content: bundle.outputFiles[0]?.text });
    const rendered = await page.evaluate((spec: unknown) => {
      const { report } = globalThis as unknown as {
        report: { renderReport: (spec: unknown) => string };
      };
      return report.renderReport(spec);
    }, sampleReport as unknown);
    expect(rendered === renderReport(sampleReport)).toBe(true);
    await page.close();
  });
});
