// A regular expression over the whole text.

import { type Found, findCalls } from "./calls";

export async function extract(response: Response): Promise<Found> {
  return findCalls(await response.text(), {});
}
