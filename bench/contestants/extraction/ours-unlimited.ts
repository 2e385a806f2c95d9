// This project's reader of pages without its bounds, which the Worker never uses: to show that they aren't what keeps its
// memory small.

import { Reader } from "#reader";
import { contentType, readWith } from "./ours";

export { memory } from "./ours";

export const extract = (response: Response) => readWith(Reader.unlimited(contentType(response)), response);
