/** Levels of objects and lists in each other; what walks over JSON by calling itself takes thousands. */
export const MAX_DEPTH = 100;

/** Whether JSON is nested deeper than {@link MAX_DEPTH}. */
export function isTooDeep(value: unknown, limit = MAX_DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return limit === 0 || Object.values(value).some((inner) => isTooDeep(inner, limit - 1));
}
