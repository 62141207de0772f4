import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from './launch.js';
import { trainAndResume } from './training-run.js';
import type { Outcome } from './training-run.js';
import { servePage } from './training-server.js';

let browser: Browser;
let node: Outcome;
beforeAll(async () => {
  browser = await launchChromium();
  node = await trainAndResume({});
});
afterAll(() => browser?.close());

/** What a page did, and all that it asked for, started or complained about. */
interface Visit {
  readonly outcome: Outcome;
  readonly complaints: readonly string[];
  readonly workers: number;
  readonly foreignRequests: readonly string[];
}

interface Conditions {
  readonly threads: number;
  readonly isolated: boolean;
}

async function trainInPage({ threads, isolated }: Conditions): Promise<Visit> {
  const site = await servePage({ entry: 'training-page.ts', isolated });
  const page = await browser.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.context().on('request', (request) => requests.push(request.url()));
  let workers = 0;
  page.on('worker', () => (workers += 1));
  try {
    await page.goto(site.origin);
    const call = `trainAndResume({ wasmPaths: '/wasm/', threads: ${threads} })`;
    const outcome = await page.evaluate<Outcome>(call);
    const foreignRequests = requests.filter((url) => new URL(url).origin !== site.origin);
    return { outcome, complaints, workers, foreignRequests };
  } finally {
    await page.close();
    site.close();
  }
}

describe.each([
  { where: 'an ordinary page', threads: 1, isolated: false },
  { where: 'an isolated page with two threads', threads: 2, isolated: true },
])('in $where', ({ threads, isolated }) => {
  let visit: Visit;
  beforeAll(async () => {
    visit = await trainInPage({ threads, isolated });
  });

  test('wasm trains, with SIMD and the threads asked for', () => {
    const { line, simd, whole, ...outcome } = visit.outcome;
    expect(line).toMatch(/^backend wasm/);
    expect([simd, outcome.threads]).toEqual([true, threads]);
    expect(visit.workers > 0).toBe(threads > 1);
    expect(whole.losses).toHaveLength(15);
    expect(whole.losses[14]).toBeLessThan(whole.losses[0]!);
  });

  test('a run resumed in the middle of an epoch ends bit for bit where an undisturbed one does', () => {
    const { whole, before, after } = visit.outcome;
    expect(before.losses).toEqual(whole.losses.slice(0, 8));
    expect(after.losses).toEqual(whole.losses.slice(8));
    expect(after.weights).toBe(whole.weights);
  });

  test('the losses are those of Node: to the bit without threads, which divide sums otherwise', () => {
    const tolerance = threads === node.threads ? 0 : 1e-6;
    visit.outcome.whole.losses.forEach((loss, step) => {
      expect(Math.abs(loss - node.whole.losses[step]!)).toBeLessThanOrEqual(tolerance);
    });
  });

  test('the page complains about nothing and asks nobody else for anything', () => {
    expect(visit.complaints).toEqual([]);
    expect(visit.foreignRequests).toEqual([]);
  });
});
