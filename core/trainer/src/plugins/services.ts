import 'reflect-metadata';
import { EspalierError } from '@espalier/base';
import { Container } from 'inversify';
import type { Token } from './tokens.js';

/**
 * The services of one run, bound once and torn down with it. The only file that knows inversify;
 * plugins see `provide`, `get` and `has` of their context.
 */
export class Services {
  readonly #container = new Container();
  readonly #owners = new Map<string, string>();
  readonly #needs = new Map<string, string>();
  #open = false;

  /** Binds a token for one owner. A binding from the preset wins over a plugin's own default. */
  provide<T>(token: Token<T>, owner: string, make: () => T): void {
    const previous = this.#owners.get(token.name);
    if (previous === BINDING) return;
    if (previous !== undefined) {
      throw new EspalierError('services/two-providers', {
        problem: `'${previous}' and '${owner}' both provide '${token.name}'`,
        fix: `Keep one (in a preset: { ${owner}: false }), or choose in the preset: bind: { '${token.name}': { use: () => component } }.`,
      });
    }
    this.#owners.set(token.name, owner);
    this.#container
      .bind<T>(Symbol.for(token.name))
      .toDynamicValue(() => refusePromise(token.name, make()))
      .inSingletonScope();
  }

  /** Binds what a preset's `bind` says, ahead of every plugin. */
  bind(token: string, make: () => unknown): void {
    this.provide({ name: token }, BINDING, make);
  }

  /** Notes that `owner` cannot work without a service. */
  need(token: Token<unknown>, owner: string): void {
    this.#needs.set(token.name, owner);
  }

  /** From now on services may be asked for: every plugin has had its say. */
  open(): void {
    for (const [name, owner] of this.#needs) {
      if (!this.has({ name }))
        throw this.#missing(name).withPlace({ plugin: owner, hook: 'apply' });
    }
    this.#open = true;
  }

  has(token: Token<unknown>): boolean {
    return this.#owners.has(token.name);
  }

  get<T>(token: Token<T>): T {
    if (!this.#open) {
      throw new EspalierError('services/too-early', {
        problem: `'${token.name}' was asked for during apply, when others may still provide it`,
        fix: 'Call ctx.get inside a tap or a service.',
      });
    }
    if (!this.has(token)) throw this.#missing(token.name);
    return this.#container.get<T>(Symbol.for(token.name));
  }

  #missing(name: string): EspalierError {
    const provided = [...this.#owners.keys()].sort().join(', ') || 'nothing';
    return new EspalierError('services/missing', {
      problem: `nothing in this run provides '${name}'; provided: ${provided}`,
      fix: 'Add a plugin that provides it, or bind the token in the preset.',
    });
  }

  /** Who provides what, for `inspect()`. */
  get providers(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#owners);
  }

  async close(): Promise<void> {
    await this.#container.unbindAll();
  }
}

const BINDING = 'preset binding';

function refusePromise<T>(token: string, made: T): T {
  if (!(made instanceof Promise)) return made;
  made.catch(() => undefined);
  throw new EspalierError('services/asynchronous', {
    problem: `what makes '${token}' returned a promise, but services are made synchronously`,
    fix: 'Await before the session is created, and bind a function that returns the value.',
  });
}
