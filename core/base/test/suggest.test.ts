import { suggest } from '@espalier/base';
import { expect, test } from 'vitest';

test.each([
  ['adamW', ['adam', 'adamw'], "Did you mean 'adamw'?"],
  ['SGD', ['adam', 'sgd'], "Did you mean 'sgd'?"],
  ['adm', ['adamw', 'adam'], "Did you mean 'adam'?"],
  ['lion', ['sgd', 'adam'], 'Known: adam, sgd.'],
  ['adam', [], 'There are none here.'],
])('for %s of %j', (name, candidates, said) => {
  expect(suggest(name, candidates)).toBe(said);
});
