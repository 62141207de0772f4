/** What is used of pidusage, which has no types of its own. */
declare module 'pidusage' {
  /** @returns memory: resident, in bytes. */
  export default function pidusage(pid: number): Promise<{ readonly memory: number }>;
}
