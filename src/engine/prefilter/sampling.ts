/**
 * When and how densely foreign frames are counted by samples. While there are few, every one
 * reaches the engine and the counters are exact; when there are many, the prefilter drops them,
 * and so many pass that there are always about as many samples a second. An operator who looks
 * for a handful of frames sees them all, and a flood costs what a trickle does.
 */
import { type ForeignSampling, MAX_FOREIGN_SAMPLING } from "../../core/sampling.ts";

/** Copying and judging these costs about one percent of a CPU. */
const BUSY_FRAMES_PER_SECOND = 4000;
const CALM_FRAMES_PER_SECOND = 1000;
/** A sample that wakes the engine costs it about 15 µs; these give a second's count within 5 %. */
const SAMPLES_PER_SECOND = 500;
/** Of less a rate says nothing: after a stop two looks may follow each other at once, with all that waited between. */
const SHORTEST_LOOK_MS = 100;
/** Traffic comes in waves: up at once, down when the highest of this time was low. */
const CALM_MS = 60_000;
/** Downwards only where it makes a difference: every change is a new program. */
const WORTHWHILE_FACTOR = 4;

/** Decides for one interface, from how many frames the prefilter drops or would drop. */
export class SamplingChoice {
  readonly #setting: ForeignSampling;
  #current: number;
  #last: { readonly frames: number; readonly ms: number } | undefined;
  /** since when, and the densest sampling that was called for since */
  #window = { sinceMs: 0, peak: 1 };

  constructor(setting: ForeignSampling) {
    this.#setting = setting;
    this.#current = setting === "auto" ? 1 : setting;
  }

  /** One frame in so many passes; 1 means that there is nothing to filter. */
  get current(): number {
    return this.#current;
  }

  /**
   * @param frames foreign or not ours, counted since the beginning
   * @returns whether `current` is another one now
   */
  observe(frames: number, ms: number): boolean {
    const last = this.#last;
    if (last !== undefined && ms - last.ms < SHORTEST_LOOK_MS) return false;
    this.#last = { frames, ms };
    if (last === undefined) this.#window = { sinceMs: ms, peak: 1 };
    if (last === undefined || this.#setting !== "auto") return false;
    const next = this.#next(((frames - last.frames) * 1000) / (ms - last.ms), ms);
    if (next === this.#current) return false;
    this.#current = next;
    this.#window = { sinceMs: ms, peak: 1 };
    return true;
  }

  /** What was chosen could not be put in force: the next look chooses again. */
  goBackTo(previous: number): void {
    this.#current = previous;
  }

  #next(perSecond: number, ms: number): number {
    const wanted = samplingFor(perSecond, this.#current);
    if (wanted >= this.#current * 2) return wanted;
    const peak = Math.max(this.#window.peak, wanted);
    this.#window = { ...this.#window, peak };
    if (ms - this.#window.sinceMs < CALM_MS) return this.#current;
    this.#window = { sinceMs: ms, peak: 1 };
    return peak === 1 || peak * WORTHWHILE_FACTOR <= this.#current ? peak : this.#current;
  }
}

function samplingFor(perSecond: number, current: number): number {
  if (perSecond < CALM_FRAMES_PER_SECOND) return 1;
  // Between the two limits it stays as it is: on, if it was on.
  if (perSecond < BUSY_FRAMES_PER_SECOND && current === 1) return 1;
  const exponent = Math.max(1, Math.round(Math.log2(perSecond / SAMPLES_PER_SECOND)));
  return Math.min(2 ** exponent, MAX_FOREIGN_SAMPLING);
}
