/** Names of interfaces: all that the kernel allows are taken or refused with a sentence, and none is read as a command. */
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { commandOf, readRules } from "../../src/cli/import-command.ts";
import { shellWord } from "../../src/core/shell-word.ts";
import { checkNicName, linkNamed, requireServable } from "../../src/settings/nic-name.ts";

const BAD_NIC = expect.objectContaining({ code: "CLUSTERIP_BAD_NIC" });

describe("a name of an interface", () => {
  it.each([
    "eth0",
    "a#b",
    "-x",
    "dev",
    "$(id)",
    "`id`",
    "q'q",
    "b\\c",
    "e*f",
    "{z};",
    "%d",
    "é",
    "日本",
    "x".repeat(127),
  ])("%s may be asked for", (name) => expect(checkNicName(name)).toBe(name));

  it.each([
    "",
    ".",
    "..",
    "a b",
    "a\tb",
    "a/b",
    "eth0:1",
    "a\u0001b",
    "a\u00a0b",
    "\u202eeth0",
    "x".repeat(128),
    "é".repeat(64),
  ])("%j is none", (name) => expect(() => checkNicName(name)).toThrow(BAD_NIC));

  it("is shown in an error without what acts on a terminal, and not whole when it is long", () => {
    expect(() => checkNicName("\u001b]0;x\u0007 eth0")).toThrow("'\uFFFD]0;x\uFFFD eth0' is not");
    expect(() => checkNicName("x".repeat(60_000))).toThrow(`'${"x".repeat(40)}…' is not`);
  });

  it("that nft cannot have is refused where the interface is to be served", () => {
    for (const name of ['q"r', "eth*", "*", "b\\*"]) expect(() => requireServable(name)).toThrow(BAD_NIC);
    for (const name of ["eth0", "e*f", "a#b", "$x"]) expect(() => requireServable(name)).not.toThrow();
  });

  it("is a link's own or an alternative one; its own takes precedence", () => {
    const links = [
      { name: "eth0", altNames: ["enp0s3", "uplink"] },
      { name: "uplink", altNames: [] },
    ];
    expect(linkNamed(links, "enp0s3")?.name).toBe("eth0");
    expect(linkNamed(links, "uplink")?.name).toBe("uplink");
    expect(linkNamed(links, "eth1")).toBeUndefined();
  });
});

describe("a word for a shell", () => {
  it("comes back from sh as it was, whatever it is", () => {
    const words = fc.array(fc.string({ unit: fc.constantFrom(..."a'\"\\ $`!*?#~{}[]()<>|&;=\n-") }), {
      minLength: 1,
    });
    fc.assert(
      fc.property(words, (list) => {
        const script = `printf '%s\\0' ${list.map(shellWord).join(" ")}`;
        expect(execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1)).toEqual(
          list,
        );
      }),
      { numRuns: 40 },
    );
  });

  it("keeps a command of import from being one of somebody else's", async () => {
    const rule = (nic: string) =>
      `-A INPUT -d 10.0.0.1/32 -i ${nic} -j CLUSTERIP --new --hashmode sourceip --clustermac 01:00:5e:00:00:20 --total-nodes 2 --local-node 1 --hash-init 0`;
    for (const nic of ["$(id>&2)", "`id`", "a;id", "a'b", "a|id", "-x", "a#b"]) {
      const [settings = {}] = await readRules([`*filter\n${rule(nic)}\nCOMMIT\n`]);
      const said = execFileSync(
        "sh",
        ["-c", `clusterip() { printf '%s\\n' "$@"; }; ${commandOf(settings)}`],
        {
          encoding: "utf8",
        },
      );
      expect(said.split("\n").slice(0, 4)).toEqual(["add", "10.0.0.1", "--nic", nic]);
    }
  });
});

describe("input without end", () => {
  async function* zeros(): AsyncGenerator<string> {
    for (;;) yield "\0".repeat(65_536);
  }
  it("is given up by import", async () => {
    await expect(readRules(zeros())).rejects.toMatchObject({
      code: "CLUSTERIP_BAD_RULE",
      message: expect.stringContaining("longer than 65,536"),
    });
  });
});
