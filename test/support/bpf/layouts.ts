/** Programs that another version of clusteripd may have left: of our name, with maps that are laid out in another way. */
export interface MapLayout {
  readonly name: string;
  readonly type: number;
  readonly entries: number;
  readonly octets: number;
}

const HASH = 1;
const ARRAY = 2;
const PERCPU_ARRAY = 6;

const vipCounters = { name: "vip_counters", type: PERCPU_ARRAY, entries: 256, octets: 528 };
const nicCounters = { name: "nic_counters", type: PERCPU_ARRAY, entries: 1, octets: 320 };

export const otherLayouts: Readonly<Record<string, readonly MapLayout[]>> = {
  "the first builds": [
    { name: "virtual_ips", type: HASH, entries: 256, octets: 24 },
    vipCounters,
    nicCounters,
  ],
  "the layout without a number": [
    { name: "vip_table", type: ARRAY, entries: 1, octets: 512 * 32 + 8 + 256 * 528 },
    vipCounters,
    nicCounters,
  ],
  "a layout to come, of the same size": [
    { name: "vip_table_9999", type: ARRAY, entries: 1, octets: 512 * 32 + 8 + 256 * 528 },
    { ...vipCounters, name: "vip_count_9999" },
    { ...nicCounters, name: "nic_count_9999", octets: 1024 },
  ],
};

/** C for `clang -target bpf`. */
export function programWith(maps: readonly MapLayout[]): string {
  const definitions = maps.map(
    ({ name, type, entries, octets }) =>
      `struct { int (*type)[${type}]; int (*max_entries)[${entries}]; unsigned *key; struct { char octets[${octets}]; } *value; }
      ${name} __attribute__((section(".maps"), used));`,
  );
  return `${definitions.join("\n")}
    static void *(*lookup)(void *, const void *) = (void *)1;
    __attribute__((section("tc"), used)) int clusterip_tc(void *skb) {
      unsigned key = 0;
      ${maps.map(({ name }) => `lookup(&${name}, &key);`).join("\n      ")}
      return -1;
    }
    char licence[] __attribute__((section("license"), used)) = "GPL";`;
}
