export { parseOptions } from '@espalier/errors';
