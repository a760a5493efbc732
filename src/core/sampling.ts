/**
 * How foreign frames are counted: `auto` (exactly while they are few, by samples when they are
 * many), or one in so many always. With 1 every frame is counted, whatever it costs.
 */
export type ForeignSampling = "auto" | number;

export const MAX_FOREIGN_SAMPLING = 65_536;
