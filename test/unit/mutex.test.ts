import { expect, it } from "vitest";
import { Mutex } from "../../src/core/mutex.ts";

it("runs one task after the other, also after one that failed", async () => {
  const mutex = new Mutex();
  const order: string[] = [];
  const first = mutex.run(async () => {
    order.push("first begins");
    await Promise.resolve();
    order.push("first fails");
    throw new Error("first");
  });
  const second = mutex.run(async () => order.push("second"));
  await expect(first).rejects.toThrow("first");
  await second;
  expect(order).toEqual(["first begins", "first fails", "second"]);
});

it("tells for how long the task at hand has run: what waits counts nothing", async () => {
  const mutex = new Mutex();
  expect(mutex.heldMs).toBe(0);
  let end = (): void => {};
  const first = mutex.run(
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  const second = mutex.run(async () => mutex.heldMs);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const held = mutex.heldMs;
  expect(held).toBeGreaterThan(20);
  end();
  await first;
  expect(await second).toBeLessThan(held);
  expect(mutex.heldMs).toBe(0);
});
