import type { HostTensor } from '@espalier/checkpoint';

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly bias: HostTensor;
}

/** How the modules with names of GPT-2 are written; undefined where none tells, or they differ. */
type Style = 'conv1d' | 'linear' | undefined;

interface Hints {
  /** What the caller says that the module is. */
  readonly kind: string | undefined;
  readonly style: { readonly gpt2: Style; readonly others: Style };
}

const GPT2 = /(^|\.)(c_attn|c_proj|c_fc|q_attn)$/;

/** What the matrices that are not square tell of the square ones. */
export function conv1dStyle(
  groups: ReadonlyMap<string, ReadonlyMap<string, HostTensor>>,
): Hints['style'] {
  const found = [...groups].flatMap(([name, parameters]) => {
    const { shape } = parameters.get('weight') ?? { shape: [] };
    const bias = parameters.get('bias');
    const [rows, columns] = shape;
    if (shape.length !== 2 || !bias || rows === columns) return [];
    const style: Style = fits(bias, rows!) ? 'linear' : fits(bias, columns!) ? 'conv1d' : undefined;
    return [{ isGpt2: GPT2.test(name), style }];
  });
  const only = (isGpt2: boolean): Style => {
    const styles = new Set(
      found.filter((each) => each.isGpt2 === isGpt2).map((each) => each.style),
    );
    return styles.size === 1 ? [...styles][0] : undefined;
  };
  const turned = found.some(({ isGpt2, style }) => !isGpt2 && style === 'conv1d');
  return { gpt2: only(true), others: turned ? undefined : 'linear' };
}

/** Whether a matrix with a bias is a Conv1D; undefined where it may be either. */
export function isConv1d(
  name: string,
  { rows, columns, bias }: Matrix,
  { kind, style }: Hints,
): boolean | undefined {
  if (kind === 'conv1d') return fits(bias, columns);
  const isGpt2 = GPT2.test(name);
  if (rows !== columns) return isGpt2 && fits(bias, columns);
  if (kind !== undefined || !fits(bias, rows)) return false;
  const known = isGpt2 ? style.gpt2 : style.others;
  return known && known === 'conv1d';
}

function fits({ shape }: HostTensor, length: number): boolean {
  return shape.length === 1 && shape[0] === length;
}
