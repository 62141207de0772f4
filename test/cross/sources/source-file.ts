import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

const parsed = new Map<string, ts.SourceFile>();

/** Every `.ts` file below a folder. */
export const listSources = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => join(folder, path));

/** The syntax tree of a file, parsed once. */
export function parseSource(path: string): ts.SourceFile {
  const known = parsed.get(path);
  if (known) return known;
  const tree = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true);
  parsed.set(path, tree);
  return tree;
}

/** The file that a relative import names. */
export const resolveRelative = (from: string, specifier: string): string =>
  resolve(dirname(from), specifier.replace(/\.js$/, '.ts'));

/** One module that a file imports or re-exports, types included; without `names`, all of it. */
export interface ModuleUse {
  readonly specifier: string;
  readonly names?: readonly string[];
}

const modules = new Map<ts.SourceFile, readonly ModuleUse[]>();

/** What a file imports and re-exports, `import('…')` as a type or a call included. */
export function listModuleUses(file: ts.SourceFile): readonly ModuleUse[] {
  const known = modules.get(file) ?? readModuleUses(file);
  modules.set(file, known);
  return known;
}

function readModuleUses(file: ts.SourceFile): readonly ModuleUse[] {
  const uses: ModuleUse[] = [];
  for (const statement of file.statements) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
    const module = statement.moduleSpecifier;
    if (!module || !ts.isStringLiteral(module)) continue;
    uses.push({ specifier: module.text, names: listNames(statement) });
  }
  if (file.text.includes('import(')) findImportCalls(file, uses);
  return uses;
}

function listNames(node: ts.ImportDeclaration | ts.ExportDeclaration): ModuleUse['names'] {
  const bindings = ts.isImportDeclaration(node)
    ? node.importClause?.namedBindings
    : node.exportClause;
  if (!bindings || !(ts.isNamedImports(bindings) || ts.isNamedExports(bindings))) return undefined;
  return bindings.elements.map(({ name, propertyName }) => (propertyName ?? name).text);
}

function findImportCalls(node: ts.Node, uses: ModuleUse[]): void {
  const argument =
    ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
      ? node.argument.literal
      : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
        ? node.arguments[0]
        : undefined;
  if (argument && ts.isStringLiteral(argument)) uses.push({ specifier: argument.text });
  ts.forEachChild(node, (child) => findImportCalls(child, uses));
}
