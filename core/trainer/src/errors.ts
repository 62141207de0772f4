export * from '@espalier/errors';
