/** A change in steps: when one fails, all that were begun are undone, the last one first. */
export type Undo = () => void | Promise<void>;

/**
 * @param run makes the steps
 * @param onUndoFailure is told what could not be undone; the others are undone all the same
 */
export async function undoable(
  run: (step: (act: () => void | Promise<void>, undo: Undo) => Promise<void>) => Promise<void>,
  onUndoFailure: (error: unknown) => void,
): Promise<void> {
  const undos: Undo[] = [];
  try {
    await run(async (act, undo) => {
      // Registered first: a step that fails halfway is undone too, and every undo is idempotent.
      undos.push(undo);
      await act();
    });
  } catch (error) {
    for (const undo of undos.reverse()) {
      try {
        await undo();
      } catch (undoError) {
        onUndoFailure(undoError);
      }
    }
    throw error;
  }
}
