/** Progress goes to standard error: standard output is for the tables. */

export function note(text: string): void {
  process.stderr.write(`      ${text}\n`);
}

export function heading(text: string): void {
  process.stderr.write(`\n== ${text}\n`);
}
