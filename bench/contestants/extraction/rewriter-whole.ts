// workerd's own HTMLRewriter, its output drained at one go, as is most often written: the whole page is read, and held.

import type { Found } from "./calls";
import { searchingScripts } from "./scripts";

export async function extract(response: Response): Promise<Found> {
  const found: Found = {};
  await searchingScripts(found).transform(response).arrayBuffer();
  return found;
}
