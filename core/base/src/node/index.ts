export { claimPlace } from './claim-place.js';
export type { PlaceClaim, ClaimOptions } from './claim-place.js';
export { makeFolder } from './make-folder.js';
