import {
  addOutput,
  EspalierError,
  countMacsTo,
  filterNames,
  listUncountedLayers,
  matches,
  toCanonicalName,
} from '@espalier/core';
import type { LayerInfo, ModelView } from '@espalier/core';
import type { At } from '../options.js';
import type { Classifier } from './classifier.js';
import { mergePoints } from './dependencies.js';

/** Layers that add nothing to an exit, which pools and classifies by itself. */
const POINTLESS = /^(Flatten|Reshape|Dropout|Global\w*Pooling\dD)$/;

/**
 * The layers that exits go behind, shallowest first.
 *
 * @param maps Whether automatic placement must keep to feature maps `[height, width, channels]`.
 * @throws EspalierError `multi-exit/no-exits`, `multi-exit/duplicate`, `multi-exit/not-before-head`,
 * `multi-exit/unknown-macs`, `model/unknown-layer`, `edit/nested`, `edit/shared`.
 */
export function exitPlaces(
  view: ModelView,
  at: At,
  classifier: Classifier,
  maps: boolean,
): readonly LayerInfo[] {
  const names = findNames(view, at, classifier, maps);
  names.forEach((name) => checkPlace(view, name, classifier));
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated !== undefined) {
    throw new EspalierError('multi-exit/duplicate', {
      problem: `two exits are on the same layer '${repeated}'`,
      received: at,
      fix: 'Name each layer once.',
    });
  }
  return view.layers.filter(({ name }) => names.includes(name));
}

function findNames(
  view: ModelView,
  at: At,
  classifier: Classifier,
  maps: boolean,
): readonly string[] {
  const known = view.layers.map(({ name }) => name);
  const find = (name: string) => toCanonicalName(name, known, view.ownNames);
  if (Array.isArray(at)) return at.map(find);
  if (typeof at === 'object' && 'fractions' in at) {
    return findAtFractions(view, at.fractions, classifier, maps);
  }
  if (typeof at === 'string' && !at.includes('*')) return [find(at)];
  const names = filterNames(makeFilter(at), [...classifier.body], view.ownNames);
  if (names.length > 0) return names;
  throw new EspalierError('multi-exit/no-exits', {
    problem: 'no layer before the head has a name that matches',
    received: at,
    fix: `Their names: ${[...classifier.body].join(', ')}.`,
  });
}

/** For each fraction of all MACs, the last merge point that costs no more. */
function findAtFractions(
  view: ModelView,
  fractions: readonly number[],
  { output, body }: Classifier,
  maps: boolean,
): readonly string[] {
  const total = countMacsTo(view, [output]);
  if (total === undefined) throw unknownCost(view, output);
  const merges = mergePoints(view, output).map(({ name }) => name);
  const possible = view.layers
    .filter(({ name, className }) => body.has(name) && !POINTLESS.test(className))
    .map(({ name, outputShape }) => ({
      name,
      outputShape,
      share: countMacsTo(view, [name])! / total,
    }))
    .filter(({ share }) => share > 0);
  const candidates = possible
    .filter(({ name }) => merges.includes(name))
    .filter(({ outputShape }) => !maps || outputShape.length === 3);
  const chosen = fractions.map((f) => candidates.findLast(({ share }) => share <= f)?.name);
  const names = [...new Set(chosen)].filter((name) => name !== undefined);
  if (names.length > 0) return names;
  const flat = maps && candidates.length === 0;
  const listed = possible.map(({ name, share }) => `${name} (${share.toFixed(3)})`);
  throw new EspalierError('multi-exit/no-exits', {
    problem: flat
      ? 'no layer that all paths pass through gives feature maps, which this branch needs'
      : 'no layer that all paths pass through costs at most these fractions of the network',
    received: fractions,
    fix: `${flat ? "Use branch: 'linear'" : 'Raise the fractions'}, or name layers with at: [ … ]. Possible layers, with their fraction of the MACs: ${listed.join(', ')}.`,
  });
}

function unknownCost(view: ModelView, output: string): EspalierError {
  return new EspalierError('multi-exit/unknown-macs', {
    problem: `exits cannot be placed by fractions of the cost, because the multiply-accumulates of ${listUncountedLayers(view, [output]).join(', ')} are unknown`,
    fix: 'Give the class a method macs(inputShape, outputShape), or name the layers for exits with at: [ … ].',
  });
}

function checkPlace(view: ModelView, name: string, { output, body }: Classifier): void {
  if (body.has(name)) return;
  // Says what is wrong with a name that is no layer at all.
  addOutput(view.graph, name);
  throw new EspalierError('multi-exit/not-before-head', {
    problem: `'${name}' is no layer between the inputs and the head of '${output}', where exits go`,
    received: name,
    fix: `Layers before the head: ${[...body].join(', ')}.`,
  });
}

function makeFilter(at: string | { readonly regexp: string }): (name: string) => boolean {
  if (typeof at === 'string') return (name) => matches(at, name);
  const pattern = parseRegExp(at.regexp);
  return (name) => pattern.test(name);
}

function parseRegExp(source: string): RegExp {
  try {
    return new RegExp(source);
  } catch (cause) {
    throw new EspalierError('multi-exit/pattern', {
      problem: `at.regexp is no regular expression: ${(cause as Error).message}`,
      received: source,
      cause,
    });
  }
}
