/** Text for a shell. */

/** A word as sh reads it back: as it is where that is safe, else between single quotes. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
