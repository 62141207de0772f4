import ts from 'typescript';

/** What the parameters of functions stand for at one call. */
export type Bindings = ReadonlyMap<ts.Node, ts.Expression | undefined>;

/** The texts that an expression can be, with `‹…›` where a value stands, and what is unknown. */
export interface Texts {
  readonly texts: readonly string[];
  /** Parameters whose value only a call of their function can tell. */
  readonly unbound: readonly ts.ParameterDeclaration[];
}

const MOST = 16;

/** Reads the texts of an expression; with `exact`, what stands in a template is read too. */
export function readTexts(node: ts.Expression, bindings: Bindings, exact: boolean): Texts {
  const unbound: ts.ParameterDeclaration[] = [];
  const read = (each: ts.Expression, depth: number): readonly string[] => {
    if (depth > 12) return [placeholder(each)];
    const inner = (child: ts.Expression) => read(child, depth + 1);
    if (ts.isStringLiteralLike(each)) return [each.text];
    if (ts.isNumericLiteral(each)) return [each.text];
    if (ts.isTemplateExpression(each)) {
      return readTemplate(each, (part) =>
        exact || isTextKnown(part, bindings) ? inner(part) : [placeholder(part)],
      );
    }
    if (ts.isConditionalExpression(each))
      return [...inner(each.whenTrue), ...inner(each.whenFalse)];
    if (ts.isParenthesizedExpression(each) || ts.isAsExpression(each))
      return inner(each.expression);
    if (ts.isNonNullExpression(each)) return inner(each.expression);
    if (ts.isBinaryExpression(each)) return readBinary(each, inner);
    if (ts.isCallExpression(each)) return readCall(each, inner);
    if (ts.isIdentifier(each)) return readIdentifier(each, inner);
    return [placeholder(each)];
  };
  const readIdentifier = (each: ts.Identifier, inner: Reader): readonly string[] => {
    if (each.text === 'undefined') return [''];
    const declaration = findDeclaration(each);
    if (!declaration) return [placeholder(each)];
    if (bindings.has(declaration)) {
      const value = bindings.get(declaration) ?? initializerOf(declaration);
      return value ? inner(value) : [''];
    }
    const parameter = findParameter(declaration);
    if (parameter) {
      if (!bindings.has(parameter)) unbound.push(parameter);
      return [placeholder(each)];
    }
    const value = initializerOf(declaration);
    return value ? inner(value) : [placeholder(each)];
  };
  const texts = [...new Set(read(node, 0))].slice(0, MOST);
  return { texts, unbound };
}

type Reader = (node: ts.Expression) => readonly string[];

/** Whether a name in a template stands for a text of its own, and not for a value of the run. */
function isTextKnown(node: ts.Expression, bindings: Bindings): boolean {
  const declaration = ts.isIdentifier(node) ? findDeclaration(node) : undefined;
  if (!declaration) return false;
  const value = bindings.get(declaration) ?? initializerOf(declaration);
  return value !== undefined && (isText(value) || isTextKnown(value, bindings));
}

function isText(node: ts.Expression): boolean {
  if (ts.isConditionalExpression(node)) return isText(node.whenTrue) && isText(node.whenFalse);
  return ts.isStringLiteralLike(node) || ts.isTemplateExpression(node) || ts.isNumericLiteral(node);
}

/** `‹layer.name›` for a name, `‹…›` for anything longer. */
function placeholder(node: ts.Expression): string {
  const text = node
    .getText()
    .replace(/^this\.#?/, '')
    .replaceAll(/[!?]/g, '');
  return /^[\w.]+$/.test(text) ? `‹${text}›` : '‹…›';
}

const join = (left: readonly string[], right: readonly string[]) =>
  left.flatMap((a) => right.map((b) => a + b)).slice(0, MOST);

function readTemplate(node: ts.TemplateExpression, inner: Reader): readonly string[] {
  return node.templateSpans.reduce<readonly string[]>(
    (left, { expression, literal }) => join(join(left, inner(expression)), [literal.text]),
    [node.head.text],
  );
}

function readBinary(node: ts.BinaryExpression, inner: Reader): readonly string[] {
  const { kind } = node.operatorToken;
  if (kind === ts.SyntaxKind.PlusToken) return join(inner(node.left), inner(node.right));
  if (kind === ts.SyntaxKind.QuestionQuestionToken || kind === ts.SyntaxKind.BarBarToken) {
    return [...inner(node.left), ...inner(node.right)];
  }
  return [placeholder(node)];
}

function readCall(node: ts.CallExpression, inner: Reader): readonly string[] {
  const callee = node.expression;
  if (ts.isIdentifier(callee) && callee.text === 'suggest')
    return ['Did you mean ‹the nearest name›?'];
  if (ts.isPropertyAccessExpression(callee) && callee.name.text === 'trim') {
    return inner(callee.expression).map((text) => text.trim());
  }
  return [placeholder(node)];
}

/** What an identifier names: a `const`, a parameter, or a field taken out of a parameter. */
export function findDeclaration(node: ts.Identifier): ts.Declaration | undefined {
  for (let scope: ts.Node = node.parent; scope; scope = scope.parent) {
    const found = listDeclarations(scope).find((each) => each.name.getText() === node.text);
    if (found) return found;
  }
  return undefined;
}

type Named = (ts.ParameterDeclaration | ts.VariableDeclaration | ts.BindingElement) & {
  readonly name: ts.BindingName;
};

function listDeclarations(scope: ts.Node): readonly Named[] {
  if (ts.isFunctionLike(scope)) return scope.parameters.flatMap(listNames);
  if (!ts.isBlock(scope) && !ts.isSourceFile(scope)) return [];
  return scope.statements
    .filter(ts.isVariableStatement)
    .flatMap(({ declarationList }) => declarationList.declarations)
    .flatMap(listNames);
}

function listNames(
  node: ts.ParameterDeclaration | ts.VariableDeclaration | ts.BindingElement,
): readonly Named[] {
  if (!ts.isObjectBindingPattern(node.name)) return [node];
  return node.name.elements.flatMap(listNames);
}

/** The parameter of which a declaration is, or is a field. */
function findParameter(node: ts.Node): ts.ParameterDeclaration | undefined {
  if (ts.isParameter(node)) return node;
  if (ts.isBindingElement(node)) return findParameter(node.parent.parent);
  return undefined;
}

const initializerOf = (node: ts.Declaration): ts.Expression | undefined =>
  ts.isVariableDeclaration(node) || ts.isParameter(node) || ts.isBindingElement(node)
    ? node.initializer
    : undefined;

/** What a call gives to the parameters of a function, and to the fields that it takes out of them. */
export function bindCall(
  parameters: readonly ts.ParameterDeclaration[],
  values: readonly ts.Expression[],
): Bindings {
  const bindings = new Map<ts.Node, ts.Expression | undefined>();
  parameters.forEach((parameter, i) => {
    const value = values[i];
    bindings.set(parameter, value);
    if (!ts.isObjectBindingPattern(parameter.name)) return;
    if (value && !ts.isObjectLiteralExpression(value)) return;
    for (const element of parameter.name.elements) {
      const field = (element.propertyName ?? element.name).getText();
      bindings.set(element, value && findField(value, field));
    }
  });
  return bindings;
}

/** The value of a field of an object literal. */
export function findField(node: ts.Expression, name: string): ts.Expression | undefined {
  if (!ts.isObjectLiteralExpression(node)) return undefined;
  const property = node.properties.find((each) => each.name?.getText() === name);
  if (!property) return undefined;
  if (ts.isPropertyAssignment(property)) return property.initializer;
  return ts.isShorthandPropertyAssignment(property) ? property.name : undefined;
}
