import { describe, expect, it } from "vitest";
import { missingForNet } from "./capabilities.ts";

/**
 * `describe` for tests that need a lab. Where the machine cannot run them, a skipped test says why; under
 * CI=true it fails instead, because there a test that did not run must not look like one that passed.
 */
export function describeNet(name: string, needs: { tools?: readonly string[] }, body: () => void): void {
  const reason = missingForNet(needs.tools);
  if (reason === undefined) {
    describe(name, body);
    return;
  }
  describe(name, () => {
    if (process.env["CI"] === "true") it("can run here", () => expect.fail(reason));
    else it.skip(`skipped: ${reason}`, () => {});
  });
}
