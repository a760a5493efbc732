import { describe, expect, it } from "vitest";
import { findBpfSupport } from "../../../src/engine/bpf-support.ts";
import { describeNet } from "../lab/describe-net.ts";

const { whyNot } = process.getuid?.() === 0 ? await findBpfSupport() : { whyNot: undefined };

/** As `describeNet`, for tests of engine "bpf" alone. */
export function describeBpf(name: string, needs: { tools?: readonly string[] }, body: () => void): void {
  if (whyNot === undefined) {
    describeNet(name, needs, body);
    return;
  }
  describe(name, () => {
    if (process.env["CI"] === "true") it("can run here", () => expect.fail(whyNot));
    else it.skip(`skipped: there is no engine bpf here: ${whyNot}`, () => {});
  });
}
