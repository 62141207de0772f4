import { EspalierError, suggest } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import { noRate } from './transform.js';
import type { GradientTransform, OptimizerState } from './transform.js';

/**
 * Runs transforms one after another: the updates of each are the gradients of the next. Their states keep
 * their names, so that nesting chains or adding a transform renames nothing in a checkpoint.
 *
 * @throws EspalierError `optim/duplicate-slot` if two transforms would share state.
 * @example
 * const learningRate = cosineSchedule({ initial: 1e-3, steps: 10_000 });
 * const optimizer = chain(clipByGlobalNorm(1), adamw({ learningRate }), ema(0.999));
 */
export function chain(...transforms: readonly GradientTransform[]): GradientTransform {
  const names = transforms.flatMap((transform) => Object.keys(transform.init({})));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new EspalierError('optim/duplicate-slot', {
      problem: `chain: two transforms would share the state '${twice}'`,
      received: transforms.map((transform) => transform.name),
      fix: "Rename one: named('x', transform).",
    });
  }
  return {
    name: 'chain',
    settings: joinSettings(transforms),
    resumable: transforms.every((transform) => transform.resumable !== false),
    init: (params) => Object.assign({}, ...transforms.map((transform) => transform.init(params))),
    update: (grads, state, params, info) =>
      transforms.reduce(
        (before, transform) => {
          const after = transform.update(before.updates, before.state, params, info);
          return { updates: after.updates, state: { ...before.state, ...after.state } };
        },
        { updates: grads, state },
      ),
    learningRate: (step, path) =>
      transforms.reduce<number | undefined>((product, transform) => {
        const rate = transform.learningRate?.(step, path);
        return product === undefined || rate === undefined ? undefined : product * rate;
      }, 1),
    dispose: () => transforms.forEach((transform) => transform.dispose?.()),
  };
}

/** By the names of the transforms; a second one of a name is `name#2`. */
function joinSettings(transforms: readonly GradientTransform[]): Readonly<Record<string, unknown>> {
  const seen = new Map<string, number>();
  const entries = transforms.flatMap(({ name, settings = {} }) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    const owner = count === 1 ? name : `${name}#${count}`;
    return Object.entries(settings).map(([key, value]) => [`${owner}.${key}`, value] as const);
  });
  return Object.fromEntries(entries);
}

/**
 * Puts `name/` before the transform's slot names, so that a chain can hold two of one kind.
 *
 * @example
 * chain(trace({ momentum: 0.9 }), withName('outer', trace({ momentum: 0.5 })));
 */
export function withName(name: string, inner: GradientTransform): GradientTransform {
  const prefix = `${name}/`;
  const add = (state: OptimizerState): OptimizerState =>
    Object.fromEntries(Object.entries(state).map(([slot, value]) => [prefix + slot, value]));
  return {
    ...inner,
    name,
    init: (params) => add(inner.init(params)),
    update(grads, state, params, info) {
      const own = Object.entries(state).filter(([slot]) => slot.startsWith(prefix));
      const stripped = own.map(([slot, value]) => [slot.slice(prefix.length), value]);
      const result = inner.update(grads, Object.fromEntries(stripped), params, info);
      return { updates: result.updates, state: add(result.state) };
    },
  };
}

/**
 * Applies `inner` to the paths for which `belongs` is true; other gradients pass through unchanged. Restrict
 * parts of a chain rather than a whole optimizer; for that there is {@link byGroup}.
 *
 * @example
 * chain(restrict(clipByValue(1), (path) => path.startsWith('embedding/')), adam());
 */
export function restrict(
  inner: GradientTransform,
  belongs: (path: string) => boolean,
): GradientTransform {
  const selectPaths = (tensors: NamedTensors): NamedTensors =>
    Object.fromEntries(Object.entries(tensors).filter(([path]) => belongs(path)));
  return {
    ...inner,
    init: (params) => inner.init(selectPaths(params)),
    update(grads, state, params, info) {
      const result = inner.update(selectPaths(grads), state, selectPaths(params), info);
      return { updates: { ...grads, ...result.updates }, state: result.state };
    },
    learningRate: (step, path) => (belongs(path) ? inner.learningRate?.(step, path) : noRate()),
  };
}

/**
 * Parameter groups: each path goes through the transform of its group only. State: `group/…`.
 *
 * @throws EspalierError `optim/unknown-group` in `init` and `update`.
 * @example
 * byGroup({ body: sgd({ learningRate: 0.01 }), head: adam() }, (path) =>
 *   path.startsWith('logits/') ? 'head' : 'body',
 * );
 */
export function byGroup(
  groups: Readonly<Record<string, GradientTransform>>,
  groupOf: (path: string) => string,
): GradientTransform {
  const isIn = (path: string, name: string): boolean => {
    const group = groupOf(path);
    if (Object.hasOwn(groups, group)) return group === name;
    const problem = `byGroup: no transform for the group of '${path}'`;
    const fix = suggest(String(group), Object.keys(groups));
    throw new EspalierError('optim/unknown-group', { problem, received: group, fix });
  };
  const parts = Object.entries(groups).map(([name, transform]) =>
    restrict(withName(name, transform), (path) => isIn(path, name)),
  );
  return { ...chain(...parts), name: 'byGroup' };
}
