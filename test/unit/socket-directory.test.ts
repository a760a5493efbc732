/** Whether anybody else could put something in the place of the control socket and of what lies beside it. */
import { chmodSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { prepareSocketDirectory, whyOthersMayWrite } from "../../src/daemon/socket-directory.ts";

const isRoot = process.geteuid?.() === 0;
const NOBODY = 65_534;
let root = "";

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "clusteripd-directory-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function make(name: string, mode = 0o755): string {
  const directory = path.join(root, name);
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, mode);
  return directory;
}

describe("a directory of the control socket", () => {
  it("is good when nobody else may write to it, also below one with the sticky bit", () => {
    expect(whyOthersMayWrite(make("own"))).toBeUndefined();
    expect(whyOthersMayWrite(make("private", 0o700))).toBeUndefined();
    make("sticky", 0o1777);
    expect(whyOthersMayWrite(make("sticky/own"))).toBeUndefined();
    symlinkSync("own", path.join(root, "link"));
    expect(whyOthersMayWrite(path.join(root, "link"))).toBeUndefined();
    expect(whyOthersMayWrite(path.join(root, "own/../link/../own"))).toBeUndefined();
    expect(whyOthersMayWrite("/usr")).toBeUndefined();
  });

  it.each([
    ["everybody's", 0o777, /others may write to .*\/place \(mode 777\)/],
    ["everybody's with the sticky bit", 0o1777, /others may write to .*\/place \(mode 1777\)/],
    ["a group's", 0o775, /others may write to .*\/place \(mode 775\)/],
    ["a group's with the set-group-ID bit", 0o2770, /\(mode 2770\)/],
  ])("is refused when it is %s", (_, mode, says) => {
    expect(whyOthersMayWrite(make("place", mode))).toMatch(says);
    const socket = path.join(root, "place/control.sock");
    expect(() => prepareSocketDirectory(socket)).toThrow(
      expect.objectContaining({ code: "CLUSTERIP_SOCKET" }),
    );
  });

  it("is refused when others may replace a directory or a link on the way to it", () => {
    const own = make("everybody/own");
    chmodSync(path.join(root, "everybody"), 0o777);
    expect(whyOthersMayWrite(own)).toMatch(/others may write to .*\/everybody \(mode 777\)/);
    symlinkSync(own, path.join(root, "link"));
    expect(whyOthersMayWrite(path.join(root, "link"))).toMatch(/others may write to .*\/everybody/);
  });

  it.skipIf(!isRoot)("is refused when it, or a link to it, is another user's (needs root)", () => {
    const own = make("own");
    const link = path.join(root, "link");
    symlinkSync(own, link);
    lchownSync(link, NOBODY, NOBODY);
    expect(whyOthersMayWrite(link)).toBe(`${link} is a link of user ${NOBODY}`);
    lchownSync(own, NOBODY, NOBODY);
    expect(whyOthersMayWrite(own)).toBe(`${own} belongs to user ${NOBODY}`);
  });

  it("does not follow links for ever", () => {
    symlinkSync("b", path.join(root, "a"));
    symlinkSync("a", path.join(root, "b"));
    expect(() => whyOthersMayWrite(path.join(root, "a"))).toThrow("too many symbolic links");
  });

  it("is made where only the last directory is missing", () => {
    prepareSocketDirectory(path.join(root, "new/control.sock"));
    expect(whyOthersMayWrite(path.join(root, "new"))).toBeUndefined();
    expect(() => prepareSocketDirectory(path.join(root, "x/y/control.sock"))).toThrow(
      "cannot be made: ENOENT",
    );
  });
});
