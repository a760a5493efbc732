/**
 * The frame language: one line says a frame, layer by layer from the wire upwards.
 *
 *     eth to cluster / ipv4 192.0.2.7 > vip / tcp 40000 > 80 syn
 *     eth to nic / vlan 5 / ipv4 192.0.2.7 > vip options 40 / udp 53 > 53 / data 100 / cut at 60
 *     eth to cluster / ipv4 192.0.2.7 > vip / icmp unreachable frag-needed quoting 28
 *       / ipv4 vip > 192.0.2.8 / tcp 80 > 40000
 *     hex multicast 01005e000264…
 *
 * Lengths, types and checksums are those that a real stack would write, unless the line says
 * otherwise. At the end a line may `pad to N` octets with zeros or `cut at N` octets. `hex`
 * gives the packet type and the octets of the whole frame: what random tests find.
 */
import { type PacketType, packetTypes } from "../core/classify.ts";
import { ClusterIpError, isClusterIpError } from "../core/errors.ts";
import { type Bytes, concat, holds, type Layer, type LayerContext, type LayerKind } from "./layer.ts";
import { readEthernet, readTag } from "./link-layers.ts";
import { readArp, readIpv4, readIpv6 } from "./network-layers.ts";
import { type PortProtocol, portProtocols, readIcmp, readIpsec, readPorts } from "./transport-layers.ts";
import { Words } from "./words.ts";

export interface BuiltFrame {
  readonly frame: Bytes;
  /** how Linux receives a frame with this destination */
  readonly packetType: PacketType;
}

/** Largest frame that a description can ask for: a merged one with its Ethernet header. */
const MAX_OCTETS = 65_549;

const readers: Readonly<Record<string, (words: Words) => Layer>> = {
  vlan: (words) => readTag(words, "vlan"),
  qinq: (words) => readTag(words, "qinq"),
  ipv4: readIpv4,
  ipv6: readIpv6,
  arp: readArp,
  icmp: readIcmp,
  esp: (words) => readIpsec(words, "esp"),
  ah: (words) => readIpsec(words, "ah"),
  data: readData,
  ...Object.fromEntries(
    portProtocols.map((name: PortProtocol) => [name, (words: Words) => readPorts(words, name)]),
  ),
};

type Finish = (frame: Bytes) => Bytes;

const finishes: Readonly<Record<string, (words: Words) => Finish>> = {
  cut: (words) => {
    words.expect("at");
    const length = words.number("octets", 0, MAX_OCTETS);
    return (frame) => {
      if (length > frame.length) words.fail(`a cut inside the ${frame.length} octets`);
      return frame.slice(0, length);
    };
  },
  pad: (words) => {
    words.expect("to");
    const length = words.number("octets", 0, MAX_OCTETS);
    return (frame) => concat(frame, new Uint8Array(Math.max(0, length - frame.length)));
  },
};

/**
 * Builds the frame of a description.
 *
 * @param vipHost what the word `vip` stands for, host order
 * Throws CLUSTERIP_BAD_FLOW, naming the layer that cannot be understood.
 */
export function buildFrame(description: string, vipHost: number): BuiltFrame {
  if (description.startsWith("hex ")) return readHex(description);
  const [first = "", ...texts] = description.split("/");
  const link = located(description, first, () => {
    const words = new Words(first, vipHost);
    if (!words.takes("eth")) refuse("a frame begins with 'eth to …' or is 'hex …'");
    return readEthernet(words);
  });
  const layers: Layer[] = [link];
  const finishers: Finish[] = [];
  for (const text of texts) {
    located(description, text, () => {
      const words = new Words(text, vipHost);
      const name = words.next("a layer");
      const finish = Object.hasOwn(finishes, name) ? finishes[name] : undefined;
      if (finish === undefined) {
        if (finishers.length > 0) refuse("'cut' and 'pad' come last");
        layers.push(readLayer(name, words, layers.at(-1)?.kind ?? "link"));
        return;
      }
      const end = finish(words);
      words.options({});
      finishers.push((frame) => located(description, text, () => end(frame)));
    });
  }
  const frame = located(description, description, () => encode(layers));
  return {
    frame: finishers.reduce((built, finish) => finish(built), frame),
    packetType: link.packetType,
  };
}

function readLayer(name: string, words: Words, below: LayerKind): Layer {
  const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
  if (read === undefined) {
    const known = ["eth", ...Object.keys(readers), ...Object.keys(finishes)];
    refuse(`there is no layer '${name}'; known are ${known.join(", ")}`);
  }
  const layer = read(words);
  if (!holds[below].includes(layer.kind)) refuse(`'${name}' cannot stand here`);
  return layer;
}

/** From the innermost layer outwards, each with the context of the IPv4 header below it. */
function encode(layers: readonly Layer[]): Bytes {
  const outside: LayerContext = { heldType: undefined, addresses: new Uint8Array(8), isWhole: true };
  let context = outside;
  const contexts = layers.map((layer, index) => {
    const own = { ...context, heldType: layers[index + 1]?.type };
    context = { ...context, ...layer.inside };
    return own;
  });
  return layers.reduceRight<Bytes>(
    (held, layer, index) => layer.encode(held, contexts[index] ?? outside),
    new Uint8Array(0),
  );
}

/** `data N`: octets 0, 1, 2 …, so that a misplaced read is seen. */
function readData(words: Words): Layer {
  const length = words.number("octets", 0, MAX_OCTETS);
  words.options({});
  return { kind: "data", encode: () => Uint8Array.from({ length }, (_, index) => index & 255) };
}

function readHex(description: string): BuiltFrame {
  return located(description, description, () => {
    const [, type = "", digits = ""] = description.trim().split(/\s+/);
    if (!Object.hasOwn(packetTypes, type)) {
      refuse(`'hex' is followed by a packet type: ${Object.keys(packetTypes).join(", ")}`);
    }
    if (!/^([0-9a-f]{2})*$/.test(digits)) refuse("a frame in hexadecimal has pairs of digits 0-9a-f");
    return { frame: new Uint8Array(Buffer.from(digits, "hex")), packetType: type as PacketType };
  });
}

function refuse(why: string): never {
  throw new ClusterIpError("CLUSTERIP_BAD_FLOW", why);
}

/** Says where in the description something is wrong; once, at the innermost place. */
function located<T>(description: string, text: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!isClusterIpError(error, "CLUSTERIP_BAD_FLOW") || error.message.endsWith(".")) throw error;
    const place = text === description ? "" : `, at '${text.trim()}'`;
    throw new ClusterIpError(
      "CLUSTERIP_BAD_FLOW",
      `The frame '${description.trim()}' cannot be built${place}: ${error.message}.`,
      { cause: error },
    );
  }
}
