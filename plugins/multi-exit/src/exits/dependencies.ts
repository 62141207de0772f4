import type { LayerInfo, ModelView } from '@espalier/core';

/** Every layer that `name` depends on, itself included; no path goes through `without`. */
export function findAncestors(
  view: ModelView,
  name: string,
  without?: string,
): ReadonlySet<string> {
  const inbound = new Map(view.layers.map((layer) => [layer.name, layer.inbound]));
  const found = new Set<string>();
  const visit = (each: string): void => {
    if (each === without || found.has(each)) return;
    found.add(each);
    inbound.get(each)?.forEach(visit);
  };
  visit(name);
  return found;
}

/**
 * The layers that every path from an input to `output` passes through, in topological order: after
 * the addition of a residual block, not inside it. Inputs and `output` itself are left out.
 */
export function mergePoints(view: ModelView, output: string): readonly LayerInfo[] {
  const onTheWay = findAncestors(view, output);
  const passes = ({ name }: LayerInfo) => {
    const around = findAncestors(view, output, name);
    return !view.inputNames.some((input) => around.has(input));
  };
  return view.layers.filter(
    (layer) =>
      onTheWay.has(layer.name) &&
      layer.name !== output &&
      !view.inputNames.includes(layer.name) &&
      passes(layer),
  );
}
