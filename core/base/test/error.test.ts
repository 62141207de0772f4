import { EspalierError, fileError } from '@espalier/base';
import { expect, test } from 'vitest';

test('what was received is cut short, text too', () => {
  for (const received of ['x'.repeat(5000), Array.from({ length: 5000 }, (_, i) => i)]) {
    const { message } = new EspalierError('a/b', { problem: 'wrong', received });
    expect(message.length).toBeLessThan(300);
    expect(message).toMatch(/…'?\. \(a\/b\)$/);
  }
});

test('errors of files say what to do', () => {
  const tooLarge = Object.assign(new Error('3 GiB'), { code: 'ERR_FS_FILE_TOO_LARGE' });
  expect(fileError('a/b', 'cannot read x', tooLarge).message).toMatch(/x: ERR_.*up to 2 GiB/);
  const folder = Object.assign(new Error('EISDIR'), { code: 'EISDIR' });
  expect(fileError('a/b', 'cannot read x', folder).message).toMatch(/A folder stands where a file/);
});

test('details are for programs: they stay with the error and are not in its message', () => {
  const details = { leastBytes: 4096, names: ['a'] };
  const error = new EspalierError('a/b', { problem: 'too small', fix: 'Allow more.', details });
  const place = { plugin: 'p', hook: 'transform' };
  const moved = error.withPrefix('model.json').withPlace(place);
  expect(moved.parts.details).toEqual(details);
  expect(moved.message).toBe('[plugin p] transform: model.json: too small. Allow more. (a/b)');
});
