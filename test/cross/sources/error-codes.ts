import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { publicWorkspaces } from '../../packages/workspaces.mjs';
import { bindCall, findDeclaration, findField, readTexts } from './error-texts.js';
import type { Bindings } from './error-texts.js';
import { listModuleUses, listSources, parseSource, resolveRelative } from './source-file.js';

/** One cause of an error. */
export interface ErrorCause {
  readonly package: string;
  readonly code: string;
  readonly problem: string;
  readonly remedy: string;
}

interface Site {
  /** The package in which the code is written. */
  readonly package: string;
  readonly node: ts.NewExpression;
  readonly bindings: Bindings;
}

interface Source {
  readonly path: string;
  readonly package: string;
  readonly text: string;
}

const sources: readonly Source[] = publicWorkspaces().flatMap(({ folder, manifest }) =>
  listSources(join(folder, 'src')).map((path) => ({
    path,
    package: manifest.name,
    text: readFileSync(path, 'utf8'),
  })),
);

/** Every `new EspalierError` of the packages, as often as a function that makes it is called. */
export function listErrorCauses(): readonly ErrorCause[] {
  return sources
    .filter(({ text }) => text.includes('new EspalierError('))
    .flatMap(({ path, package: name }) =>
      findNodes(parseSource(path), ts.isNewExpression)
        .filter((node) => node.expression.getText() === 'EspalierError')
        .filter(({ arguments: given }) => !passesCodeOn(given![0]!))
        .flatMap((node) => specialize({ package: name, node, bindings: new Map() }, 0))
        .flatMap(readCauses),
    );
}

/** An error that is made again from another has a code that is listed where that one is made. */
function passesCodeOn(code: ts.Expression): boolean {
  if (ts.isPropertyAccessExpression(code)) return code.name.text === 'code';
  const declaration = ts.isIdentifier(code) ? findDeclaration(code) : undefined;
  return declaration !== undefined && ts.isBindingElement(declaration);
}

/** A site in a function that is told the code or the texts stands for one site a call. */
function specialize(site: Site, depth: number): readonly Site[] {
  const { code, problem, fix } = partsOf(site.node);
  const { bindings } = site;
  const inCode = readTexts(code, bindings, true).unbound;
  const unbound = [
    ...inCode,
    ...[problem, fix].flatMap((each) => (each ? readTexts(each, bindings, false).unbound : [])),
  ];
  const owner = unbound[0]?.parent as ts.SignatureDeclaration | undefined;
  const calls = owner && depth < 4 ? findCalls(owner) : [];
  if (!owner || calls.length === 0) return [site];
  return calls.flatMap((call) =>
    specialize(
      {
        package: inCode.length > 0 ? packageAt(call.getSourceFile().fileName) : site.package,
        node: site.node,
        bindings: new Map([...bindings, ...bindCall([...owner.parameters], [...call.arguments])]),
      },
      depth + 1,
    ),
  );
}

function partsOf({ arguments: given }: ts.NewExpression) {
  const [code, parts] = given!;
  return {
    code: code!,
    problem: parts && findField(parts, 'problem'),
    fix: parts && findField(parts, 'fix'),
  };
}

function readCauses({ package: name, node, bindings }: Site): readonly ErrorCause[] {
  const { code, problem, fix } = partsOf(node);
  const codes = readTexts(code, bindings, true).texts;
  const problems = problem ? readTexts(problem, bindings, false).texts : ['‹…›'];
  const remedies = fix ? readTexts(fix, bindings, false).texts : [''];
  return codes.flatMap((each) =>
    pair(problems, remedies).map(([text, remedy]) => ({
      package: name,
      code: each.replace(/^‹[^›]*›\//, '‹plugin›/'),
      problem: text,
      remedy,
    })),
  );
}

/** Alternatives that go by one condition belong together. */
function pair(problems: readonly string[], remedies: readonly string[]): [string, string][] {
  if (problems.length === remedies.length) return problems.map((each, i) => [each, remedies[i]!]);
  return problems.map((each) => [each, remedies.join(' Or: ')]);
}

function findCalls(owner: ts.SignatureDeclaration): readonly ts.CallExpression[] {
  const name = nameOf(owner);
  if (name === undefined) return [];
  const file = owner.getSourceFile().fileName;
  return sources
    .filter(({ text }) => text.includes(name))
    .filter(({ path }) => path === file || importsFrom(path, name, file))
    .flatMap(({ path }) => listCalls(path).get(name) ?? []);
}

const calls = new Map<string, ReadonlyMap<string, readonly ts.CallExpression[]>>();

/** The calls of a file by the name of what is called, parsed once. */
function listCalls(path: string): ReadonlyMap<string, readonly ts.CallExpression[]> {
  const known = calls.get(path);
  if (known) return known;
  const byName = new Map<string, ts.CallExpression[]>();
  for (const call of findNodes(parseSource(path), ts.isCallExpression)) {
    const { expression } = call;
    const name = (
      ts.isPropertyAccessExpression(expression) ? expression.name : expression
    ).getText();
    byName.set(name, [...(byName.get(name) ?? []), call]);
  }
  calls.set(path, byName);
  return byName;
}

function nameOf(node: ts.SignatureDeclaration): string | undefined {
  const named = node.name ? node : (node.parent as ts.NamedDeclaration);
  return named.name?.getText();
}

const packageAt = (file: string) => sources.find(({ path }) => path === file)!.package;

function importsFrom(path: string, name: string, file: string): boolean {
  return listModuleUses(parseSource(path))
    .filter(({ names }) => names?.includes(name))
    .some(({ specifier }) => {
      if (!specifier.startsWith('.')) return specifier.startsWith(packageAt(file));
      const target = resolveRelative(path, specifier);
      return target === file || target.endsWith('index.ts');
    });
}

function findNodes<T extends ts.Node>(root: ts.Node, is: (node: ts.Node) => node is T): T[] {
  const found: T[] = [];
  const visit = (node: ts.Node): void => {
    if (is(node)) found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(root);
  return found;
}
