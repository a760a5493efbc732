/** The flows that are hashed: random, the same in every run. */

export interface Flows {
  readonly saddr: Uint32Array;
  readonly sport: Uint16Array;
  readonly dport: Uint16Array;
}

export function randomFlows(count: number): Flows {
  // A linear congruential generator (Numerical Recipes): its high bits are random enough for addresses.
  let state = 1;
  const word = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
  return {
    saddr: Uint32Array.from({ length: count }, word),
    sport: Uint16Array.from({ length: count }, () => word() >>> 16),
    dport: Uint16Array.from({ length: count }, () => word() >>> 16),
  };
}
