/**
 * When foreign frames are counted by samples. While there are few, every one reaches the engine and
 * the counters are exact; when there are many, the prefilter drops them and one in `BUSY_SAMPLING`
 * is counted for all. An operator who looks for a handful of frames sees them all, and a flood
 * costs next to nothing.
 */

import type { ForeignSampling } from "../../core/sampling.ts";

const BUSY_SAMPLING = 256;

/** Copying and judging these costs about one percent of a CPU. */
const BUSY_FRAMES_PER_SECOND = 4000;
const CALM_FRAMES_PER_SECOND = 1000;
/** Traffic comes in waves: the way back is slow. */
const CALM_SECONDS = 10;

/** Decides for one interface, from how many frames it would have dropped in the kernel. */
export class SamplingChoice {
  readonly #setting: ForeignSampling;
  #current: number;
  #lastFrames: number | undefined;
  #lastMs = 0;
  #calmSinceMs: number | undefined;

  constructor(setting: ForeignSampling) {
    this.#setting = setting;
    this.#current = setting === "auto" ? 1 : setting;
  }

  get current(): number {
    return this.#current;
  }

  /**
   * @param frames foreign or not ours, counted since the beginning
   * @returns whether `current` is another one now
   */
  observe(frames: number, nowMs: number): boolean {
    const elapsedMs = nowMs - this.#lastMs;
    const isFirst = this.#lastFrames === undefined;
    const perSecond = ((frames - (this.#lastFrames ?? 0)) * 1000) / Math.max(elapsedMs, 1);
    this.#lastFrames = frames;
    this.#lastMs = nowMs;
    if (isFirst || this.#setting !== "auto") return false;
    if (perSecond >= CALM_FRAMES_PER_SECOND) this.#calmSinceMs = undefined;
    else this.#calmSinceMs ??= nowMs - elapsedMs;
    const isCalm = this.#calmSinceMs !== undefined && nowMs - this.#calmSinceMs >= CALM_SECONDS * 1000;
    const next = perSecond >= BUSY_FRAMES_PER_SECOND ? BUSY_SAMPLING : isCalm ? 1 : this.#current;
    if (next === this.#current) return false;
    this.#current = next;
    return true;
  }
}
