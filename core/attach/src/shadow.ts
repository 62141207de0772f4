/** Properties of objects that stand in front of those of their classes, until they are taken away again. */
export class Shadow {
  readonly #undo: (() => void)[] = [];

  /** Puts properties of its own onto an object. */
  replace<T extends object>(target: T, properties: Partial<T>): void {
    for (const name of Object.keys(properties) as (keyof T)[]) {
      const before = Object.getOwnPropertyDescriptor(target, name);
      Object.defineProperty(target, name, {
        value: properties[name],
        configurable: true,
        enumerable: false,
        writable: true,
      });
      this.#undo.push(() => {
        if (before) Object.defineProperty(target, name, before);
        else delete target[name];
      });
    }
  }

  /** Takes them all away, the last one first. */
  restore(): void {
    this.#undo
      .splice(0)
      .reverse()
      .forEach((undo) => undo());
  }
}
