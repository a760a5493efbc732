/** Runs asynchronous tasks one after the other, in the order of the calls. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();
  #begunMs: number | undefined;

  /** For how long the task at hand has run; 0 when there is none. */
  get heldMs(): number {
    return this.#begunMs === undefined ? 0 : performance.now() - this.#begunMs;
  }

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(async () => {
      this.#begunMs = performance.now();
      try {
        return await task();
      } finally {
        this.#begunMs = undefined;
      }
    });
    // The next task runs also when this one failed; the failure is its caller's.
    this.#tail = result.catch(() => {});
    return result;
  }
}
