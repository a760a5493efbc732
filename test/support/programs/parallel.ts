/** Runs `task` for 0 … count-1, at most `limit` at a time; results come in the order of the numbers. */
export async function inParallel<Result>(
  count: number,
  limit: number,
  task: (index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array(count);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      results[index] = await task(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, worker));
  return results;
}

/** Item `index` of a list that is gone through again and again. */
export function cycled<Item>(list: readonly Item[], index: number): Item {
  const item = list[index % list.length];
  if (item === undefined) throw new Error("an empty list");
  return item;
}
