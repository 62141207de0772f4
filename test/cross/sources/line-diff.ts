/** How many lines a diff of two texts adds and removes. */
export function countChangedLines(before: string, after: string) {
  const [old, now] = [before.split('\n'), after.split('\n')];
  let above = now.map(() => 0);
  for (const line of old) {
    const row: number[] = [];
    now.forEach((other, i) => {
      const longest = Math.max(above[i]!, row[i - 1] ?? 0);
      row.push(line === other ? (above[i - 1] ?? 0) + 1 : longest);
    });
    above = row;
  }
  const kept = above.at(-1)!;
  return { added: now.length - kept, removed: old.length - kept };
}
