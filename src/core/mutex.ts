/** Runs asynchronous tasks one after the other, in the order of the calls. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
    // The next task runs also when this one failed; the failure is its caller's.
    this.#tail = result.catch(() => {});
    return result;
  }
}
