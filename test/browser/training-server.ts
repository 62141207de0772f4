import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** A page on localhost that has the packages bundled. */
export interface Site {
  /** `http://localhost:…` */
  readonly origin: string;
  close(): void;
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const wasmFolder = here('../../node_modules/@tensorflow/tfjs-backend-wasm/dist/');
const page =
  '<!doctype html><link rel="icon" href="/icon"><script type="module" src="/page.js"></script>';
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** What a site serves, and how. */
export interface SiteOptions {
  /** The module of the page, beside this file. */
  readonly entry: string;
  /** Whether the page gets shared memory. */
  readonly isolated?: boolean;
}

/** Serves a bundled page and the `.wasm` files. */
export async function servePage({ entry, isolated = false }: SiteOptions): Promise<Site> {
  const script = await bundle(entry);
  const server = createServer(({ url = '/' }, response) => {
    if (isolated) response.setHeaders(new Map(Object.entries(isolation)));
    if (url === '/') send(response, 'text/html', page);
    else if (url === '/page.js') send(response, 'text/javascript', script);
    else if (url.startsWith('/wasm/')) send(response, 'application/wasm', wasm(url));
    else response.writeHead(url === '/icon' ? 204 : 404).end();
  });
  await new Promise<void>((listening) => server.listen(0, 'localhost', listening));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://localhost:${port}`, close: () => server.close() };
}

const send = (response: ServerResponse, type: string, body: string | Uint8Array) =>
  response.setHeader('Content-Type', type).end(body);

const wasm = (url: string) => readFileSync(wasmFolder + basename(url));

async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [here(entry)],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['@espalier/source'],
    external: ['vitest'], // the kit's test runner; nothing of it is reached, so nothing is left of it
    write: false,
  });
  return outputFiles[0]!.text;
}
