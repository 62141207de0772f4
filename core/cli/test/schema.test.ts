import { readFile } from 'node:fs/promises';
import { jsonSchema } from 'espalier';
import { describe, expect, it } from 'vitest';

describe('schema.json', () => {
  it('is what the validation of the command line says (write it anew: npm run schema -w espalier)', async () => {
    const file = await readFile(new URL('../schema.json', import.meta.url), 'utf8');
    expect(JSON.parse(file)).toEqual(jsonSchema());
  });

  it('lets a name stand for { use: name }', () => {
    const { properties } = jsonSchema() as { properties: Record<string, { anyOf: unknown[] }> };
    expect(properties['loss']?.anyOf).toMatchObject([{ type: 'string' }, { required: ['use'] }]);
  });

  it('lets a preset be one that extends several', () => {
    const { properties } = jsonSchema() as { properties: Record<string, { anyOf: unknown[] }> };
    const several = { required: ['plugins'], properties: { extends: {} } };
    expect(properties['preset']?.anyOf[2]).toMatchObject(several);
    expect(properties['model']?.anyOf).toHaveLength(2);
  });
});
