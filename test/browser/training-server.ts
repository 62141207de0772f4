import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWithEsbuild } from './bundles.js';
import type { Files } from './bundles.js';

/** A page on localhost that has the packages bundled. */
export interface Site {
  /** `http://localhost:…` */
  readonly origin: string;
  close(): void;
}

const wasmFolder = fileURLToPath(
  new URL('../../node_modules/@tensorflow/tfjs-backend-wasm/dist/', import.meta.url),
);
const page =
  '<!doctype html><link rel="icon" href="/icon"><script type="module" src="/page.js"></script>';
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.wasm': 'application/wasm',
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
  const [script] = (await bundleWithEsbuild({ page: entry }, ['@espalier/source'])).values();
  return serveFiles(new Map([['page.js', script!]]), isolated);
}

/** Serves these files, and the `.wasm` files under `/wasm/`. */
export async function serveFiles(files: Files, isolated = false): Promise<Site> {
  const all: Files = new Map([['index.html', page], ...files]);
  const server = createServer(({ url = '/' }, response) => {
    if (isolated) response.setHeaders(new Map(Object.entries(isolation)));
    const path = url === '/' ? 'index.html' : url.slice(1);
    const body = url.startsWith('/wasm/') ? wasm(url) : all.get(path);
    if (body !== undefined) send(response, types[extname(path)]!, body);
    else response.writeHead(url === '/icon' ? 204 : 404).end();
  });
  await new Promise<void>((listening) => server.listen(0, 'localhost', listening));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://localhost:${port}`, close: () => server.close() };
}

const send = (response: ServerResponse, type: string, body: string | Uint8Array) =>
  response.setHeader('Content-Type', type).end(body);

const wasm = (url: string) => readFileSync(wasmFolder + basename(url));
